import type { visibility } from '../clients/aborted.ts'
import type { KafkaRecord, ProducePart, ProduceRequest, StoredRecord } from '../clients/port.ts'
import { Fault } from '../errors.ts'
import { type Codec, type Codecs, compressionNumber } from './codecs.ts'
import { crc32c } from './crc32c.ts'
import { Reading, torn } from './reading.ts'
import type { Writing } from './writing.ts'

/** The format of Kafka 0.11 and all after it. */
const magic = 2
const codecBits = 7
const appendTimeBit = 8
const transactionalBit = 16
const controlBit = 32
/** From the end of the length to the first byte that the checksum covers. */
const unguarded = 9

/** Writes a partition's records as one batch. */
export async function writeBatch(
  out: Writing,
  { sequence, records }: ProducePart,
  { identity, transactionalId, compression }: Pick<ProduceRequest, 'identity' | 'transactionalId' | 'compression'>,
  codec: Codec | undefined,
): Promise<void> {
  const first = records[0]?.timestamp ?? 0
  let latest = first
  for (const { timestamp } of records) if (timestamp > latest) latest = timestamp
  out.int64(0)
  const length = out.skip(4)
  out.int32(-1)
  out.int8(magic)
  const checksum = out.skip(4)
  const guarded = out.at
  out.int16(compressionNumber[compression] | (transactionalId === undefined ? 0 : transactionalBit))
  out.int32(records.length - 1)
  out.int64(first)
  out.int64(latest)
  out.int64(BigInt(identity.id))
  out.int16(identity.epoch)
  out.int32(sequence)
  out.int32(records.length)
  const content = out.at
  for (let i = 0; i < records.length; i++) writeRecord(out, records[i] as KafkaRecord, i, first)
  if (codec !== undefined) {
    const packed = await codec.compress(out.written(content))
    out.at = content
    out.bytes(packed)
  }
  out.int32At(length, out.at - guarded + unguarded)
  out.int32At(checksum, crc32c(out.written(guarded)))
}

function writeRecord(
  out: Writing,
  { key, value, headers, timestamp }: KafkaRecord,
  index: number,
  first: number,
): void {
  const opened = out.open()
  out.int8(0)
  out.varlong(timestamp - first)
  out.varint(index)
  out.varBytes(key)
  out.varBytes(value)
  let count = 0
  for (const _ in headers) count++
  out.varint(count)
  for (const name in headers) {
    out.varText(name)
    out.varText(headers[name] as string)
  }
  out.close(opened)
}

/** Reads batches as a fetch brings them: what counts from the offset `from` on, and where to go on. The last may be torn: it comes again. */
export async function readBatches(
  bytes: Buffer,
  from: number,
  counts: ReturnType<typeof visibility>,
  codecs: Codecs,
): Promise<{ readonly records: readonly StoredRecord[]; readonly next: number }> {
  const batches = new Reading(bytes)
  const records: StoredRecord[] = []
  let next = from
  while (batches.left >= 12) {
    const offset = batches.int64()
    const length = batches.int32()
    const end = batches.at + length
    if (length > batches.left) break
    batches.skip(4)
    const format = batches.int8()
    if (format !== magic) throw tooOld(format)
    batches.skip(4)
    const attributes = batches.int16()
    next = Math.max(next, offset + batches.int32() + 1)
    const first = batches.int64()
    const latest = batches.int64()
    const producer = batches.id()
    batches.skip(6)
    const count = batches.int32()
    // All records of a batch are of one transaction, or of none.
    if (counts(offset, producer, (attributes & transactionalBit) !== 0, (attributes & controlBit) !== 0)) {
      const number = attributes & codecBits
      let content = batches
      if (number !== 0) content = new Reading(await codecs(number).decompress(bytes.subarray(batches.at, end)))
      const time = (attributes & appendTimeBit) === 0 ? undefined : latest
      readRecords(content, count, { offset, first, time, from }, records)
    }
    batches.at = end
  }
  return { records, next }
}

/** Of a batch: what its records count from, and what of them is wanted. */
interface Base {
  readonly offset: number
  readonly first: number
  /** The broker's time of all of them, where the topic has it so. */
  readonly time: number | undefined
  readonly from: number
}

function readRecords(content: Reading, count: number, base: Base, into: StoredRecord[]): void {
  const headers = headerReader(content)
  for (let i = 0; i < count; i++) {
    const length = content.varint()
    const end = content.at + length
    content.skip(1)
    const delta = content.varlong()
    const offset = base.offset + content.varint()
    if (offset >= base.from) {
      const key = content.varBytes()
      const value = content.varBytes()
      into.push({ offset, key, value, headers: headers(), timestamp: base.time ?? base.first + delta })
      if (content.at !== end) throw torn()
    }
    content.at = end
  }
}

const noHeaders: readonly string[] = Object.freeze([])

/**
 * Reads the headers of record after record, as names and values in turn. Neighbours are alike: a text that equals the one in its place in
 * the record before is taken from there, and so are all headers where each of them is equal. A header whose value is null says nothing.
 */
function headerReader(content: Reading): () => readonly string[] {
  const { bytes } = content
  const starts: number[] = []
  const texts: (string | undefined)[] = []
  let before = noHeaders
  let countBefore = 0
  let fresh = false
  const text = (place: number): void => {
    const size = content.varint()
    const { at } = content
    if (size > content.left) throw torn()
    if (size >= 0) content.at = at + size
    const known = texts[place]
    if (known?.length === size) {
      const start = starts[place] as number
      let i = 0
      while (i < size && bytes[start + i] === bytes[at + i]) i++
      if (i === size) return
    }
    fresh = true
    texts[place] = size < 0 ? undefined : bytes.toString('utf8', at, at + size)
    starts[place] = at
  }
  return () => {
    const count = content.varint()
    if (count === 0) return noHeaders
    if (count > content.left) throw torn()
    fresh = count !== countBefore
    countBefore = count
    for (let place = 0; place < 2 * count; place++) text(place)
    if (!fresh) return before
    const made: string[] = []
    for (let i = 0; i < 2 * count; i += 2) {
      const [name, value] = [texts[i], texts[i + 1]]
      if (name !== undefined && value !== undefined) made.push(name, value)
    }
    before = made
    return made
  }
}

function tooOld(format: number): Fault {
  return new Fault(
    'broker',
    'UNSUPPORTED_FOR_MESSAGE_FORMAT',
    `records are stored in format ${format}, from before Kafka 0.11, and only format ${magic} is read; copy them into a new topic`,
  )
}
