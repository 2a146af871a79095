import type { FetchAnswer, Partition, StoredRecord } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { messagingError } from './errors.ts'

/** The records of a partition from an offset up to, not including, another one; for no group. */
export async function* scan(
  cluster: ClusterMap,
  { topic, partition }: Partition,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<StoredRecord> {
  const fetchAt = (offset: number): Promise<FetchAnswer | undefined> =>
    cluster.patiently({ topics: [topic] }, async () => {
      const [answer] = await cluster.wire.fetch(await cluster.leader(topic, partition), {
        committedOnly: true,
        maxWaitMs: 100,
        maxBytes: 4_194_304,
        partitions: [{ topic, partition, offset, maxBytes: 4_194_304 }],
      })
      if (answer?.fault !== undefined) throw answer.fault
      return answer
    })
  let idle = 0
  for (let offset = from; offset < to; ) {
    signal.throwIfAborted()
    const answer = await fetchAt(offset).catch((error: unknown) => {
      throw messagingError(error, `partition ${partition} of ${topic} could not be read`)
    })
    if (answer === undefined) continue
    for (const record of answer.records) if (record.offset < to) yield record
    // Compaction may leave nothing where there was something, even at the end.
    if (answer.next > offset) [offset, idle] = [answer.next, 0]
    else if (answer.end >= to && ++idle > 2) offset++
  }
}

/** Several ordered streams as one, by time. */
export async function* merged<T>(
  streams: readonly AsyncGenerator<T>[],
  timeOf: (item: T) => number,
): AsyncGenerator<T> {
  const heads: { stream: AsyncGenerator<T>; value: T }[] = []
  try {
    for (const stream of streams) {
      const { done, value } = await stream.next()
      if (done !== true) heads.push({ stream, value })
    }
    while (heads.length > 0) {
      const first = heads.reduce((best, each) => (timeOf(each.value) < timeOf(best.value) ? each : best))
      yield first.value
      const { done, value } = await first.stream.next()
      if (done === true) heads.splice(heads.indexOf(first), 1)
      else first.value = value
    }
  } finally {
    for (const stream of streams) await stream.return(undefined)
  }
}
