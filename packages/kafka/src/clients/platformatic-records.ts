import type { fetchV12, MessageRecord, RecordsBatch } from '@platformatic/kafka'
import { visibility } from './aborted.ts'
import type { FetchAnswer, ProduceRequest, StoredRecord } from './port.ts'

const bytes = (value: Uint8Array | string): Buffer =>
  typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value.buffer, value.byteOffset, value.byteLength)

/** The records of a request as the library takes them. */
export function recordsOf({ parts }: ProduceRequest): MessageRecord[] {
  const records: MessageRecord[] = []
  for (const { topic, partition, records: some } of parts)
    for (const { key, value, headers, timestamp } of some) {
      const map = new Map<Buffer, Buffer>()
      for (const name in headers) map.set(Buffer.from(name, 'utf8'), bytes(headers[name] as Uint8Array | string))
      const record: Omit<MessageRecord, 'value'> & { value: Buffer | null } = {
        topic,
        partition,
        timestamp: BigInt(timestamp),
        headers: map,
        // The library writes null where there is none; its types forbid to say so.
        value: value === null ? null : bytes(value),
        ...(key === null ? {} : { key: bytes(key) }),
      }
      records.push(record as MessageRecord)
    }
  return records
}

type PartitionData = fetchV12.FetchResponsePartition
const controlBit = 32
const transactionalBit = 16
const appendTimeBit = 8

/** What of an answer counts, from the offset asked for on. */
export function readable(
  data: PartitionData,
  from: number,
  committedOnly: boolean,
): Pick<FetchAnswer, 'records' | 'next' | 'end'> {
  const highWatermark = Number(data.highWatermark)
  const stable = Number(data.lastStableOffset)
  const undone = committedOnly ? (data.abortedTransactions ?? []) : []
  const counts = visibility(
    undone.map(({ producerId, firstOffset }) => ({ producer: String(producerId), first: Number(firstOffset) })),
  )
  const records: StoredRecord[] = []
  let next = from
  for (const batch of data.records ?? []) {
    next = Math.max(next, Number(batch.firstOffset) + batch.lastOffsetDelta + 1)
    collect(batch, from, counts, records)
  }
  return { records, next, end: committedOnly && stable >= 0 ? Math.min(stable, highWatermark) : highWatermark }
}

function collect(batch: RecordsBatch, from: number, counts: ReturnType<typeof visibility>, into: StoredRecord[]): void {
  const first = Number(batch.firstOffset)
  const time = Number(batch.firstTimestamp)
  const producer = String(batch.producerId)
  const control = (batch.attributes & controlBit) !== 0
  const transactional = (batch.attributes & transactionalBit) !== 0
  for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
    const offset = first + offsetDelta
    if (!counts(offset, producer, transactional, control) || offset < from) continue
    const named: Record<string, Uint8Array> = Object.create(null)
    for (const [name, content] of headers) if (name !== null && content !== null) named[name.toString('utf8')] = content
    const stamp = (batch.attributes & appendTimeBit) !== 0 ? Number(batch.maxTimestamp) : time + Number(timestampDelta)
    into.push({ offset, key, value, headers: named, timestamp: stamp })
  }
}
