import { visibility } from './aborted.ts'
import type { NativeStored } from './kafkajs-internals.ts'
import type { FetchAnswer, StoredRecord } from './port.ts'

interface NativePartition {
  readonly partition: number
  readonly highWatermark: string
  readonly lastStableOffset?: string
  readonly abortedTransactions?: readonly { producerId: string; firstOffset: string }[] | null
  readonly messages: readonly NativeStored[]
}

/** A partition's part of an answer, without what lies below the offset asked for, control records and what was aborted. */
export function fetchAnswer(topic: string, asked: number, committedOnly: boolean, data: NativePartition): FetchAnswer {
  const highWatermark = Number(data.highWatermark)
  const stable = Number(data.lastStableOffset ?? -1)
  const end = committedOnly && stable >= 0 ? Math.min(stable, highWatermark) : highWatermark
  const undone = committedOnly ? (data.abortedTransactions ?? []) : []
  const counts = visibility(
    undone.map(({ producerId, firstOffset }) => ({ producer: producerId, first: Number(firstOffset) })),
  )
  const records: StoredRecord[] = []
  let next = asked
  for (const message of data.messages) {
    const offset = Number(message.offset)
    const { producerId = '', inTransaction = false } = message.batchContext ?? {}
    const visible = counts(offset, producerId, inTransaction, message.isControlRecord === true)
    if (offset < asked) continue
    next = offset + 1
    if (!visible) continue
    records.push({
      offset,
      key: message.key,
      value: message.value,
      headers: headersOf(message.headers),
      timestamp: Number(message.timestamp),
    })
  }
  const last = data.messages.at(-1)?.batchContext
  // Compaction may have taken a batch's last records.
  if (last !== undefined) next = Math.max(next, Number(last.firstOffset) + last.lastOffsetDelta + 1)
  return { topic, partition: data.partition, fault: undefined, records, next, end }
}

function headersOf(headers: NativeStored['headers']): Readonly<Record<string, Uint8Array>> {
  const out: Record<string, Uint8Array> = Object.create(null)
  for (const name in headers) {
    const value = headers[name]
    // Of a repeated name the last one counts, as in Kafka's own `lastHeader`.
    const one = Array.isArray(value) ? value.at(-1) : value
    if (one !== undefined && one !== null) out[name] = one
  }
  return out
}
