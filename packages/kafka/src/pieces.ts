import type { KafkaRecord } from './clients/port.ts'
import type { Part } from './producer.ts'

/** A run of a part's records that goes out as one batch: a broker takes no batch above its topic's `max.message.bytes`. */
export interface Piece extends Part {
  /** Index in the part past its last record. */
  readonly end: number
  /** At most, before compression. */
  readonly bytes: number
}

/** What of a batch is not records. */
const batchHead = 61
/** Lengths, time and number of a record, and of each header: at most. */
const [recordHead, headerHead] = [32, 10]
/** Of a character in UTF-8. */
const widest = 3

/** A part in pieces of at most so many bytes; a record that is larger by itself is a piece, too. */
export function cut(part: Part, mostBytes: number): readonly Piece[] {
  const { topic, partition, records } = part
  const pieces: Piece[] = []
  let [first, bytes] = [0, batchHead]
  const close = (end: number): void => {
    const whole = end - first === records.length
    pieces.push({ topic, partition, records: whole ? records : records.slice(first, end), end, bytes })
    ;[first, bytes] = [end, batchHead]
  }
  for (const [i, record] of records.entries()) {
    const size = sizeOf(record)
    if (i > first && bytes + size > mostBytes) close(i)
    bytes += size
  }
  if (records.length > first) close(records.length)
  return pieces
}

/** A piece that proved too large, in pieces of at most half of it. */
export function recut(piece: Piece): readonly Piece[] {
  const before = piece.end - piece.records.length
  return cut(piece, piece.bytes / 2).map((each) => ({ ...each, end: before + each.end }))
}

function sizeOf({ key, value, headers }: KafkaRecord): number {
  let size = recordHead + (key?.length ?? 0) + (value?.length ?? 0)
  for (const name in headers) size += headerHead + widest * (name.length + (headers[name] as string).length)
  return size
}
