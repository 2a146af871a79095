import { MessagingError } from '@posthorn/core'
import type { From } from '@posthorn/core/driver'
import type { OffsetAnswer, OffsetQuestion, Partition } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { parsePosition } from './convert.ts'

/** Asks the leaders of partitions for offsets; -1 as the time is the end, -2 the beginning. */
async function offsetsAt(cluster: ClusterMap, asked: readonly OffsetQuestion[]): Promise<readonly OffsetAnswer[]> {
  const answers = await cluster.patiently({ topics: asked.map(({ topic }) => topic) }, async () => {
    const nodes = new Map<number, OffsetQuestion[]>()
    for (const question of asked) {
      const node = await cluster.leader(question.topic, question.partition)
      nodes.set(node, [...(nodes.get(node) ?? []), question])
    }
    return Promise.all([...nodes].map(([node, questions]) => cluster.wire.offsets(node, questions)))
  })
  const held = new Map(answers.flat().map((answer) => [`${answer.partition}/${answer.topic}`, answer]))
  return asked.map(
    ({ topic, partition }) => held.get(`${partition}/${topic}`) ?? { topic, partition, offset: -1, timestamp: -1 },
  )
}

/** The beginnings or the ends of partitions, in their order. */
export async function edges(
  cluster: ClusterMap,
  partitions: readonly Partition[],
  at: 'beginning' | 'end',
): Promise<readonly number[]> {
  const asked = partitions.map(({ topic, partition }) => ({ topic, partition, at: at === 'end' ? -1 : -2 }))
  return (await offsetsAt(cluster, asked)).map(({ offset }) => offset)
}

function positionOf(position: string): NonNullable<ReturnType<typeof parsePosition>> {
  const parsed = parsePosition(position)
  if (parsed !== undefined) return parsed
  throw new MessagingError(
    'invalid',
    `${JSON.stringify(position)} is not a position of Kafka; write partition:offset, as deliveries and receipts have it`,
  )
}

/** Refuses what is no position, at the member that names it: the leader, who would look it up, may be another process. */
export function checkFrom(from: From): void {
  if (typeof from === 'object' && 'position' in from) positionOf(from.position)
}

/**
 * The offset of each partition that `from` means. A position names a place in one partition; the others begin at the time of the message there.
 */
export async function startsOf(
  cluster: ClusterMap,
  partitions: readonly Partition[],
  from: From,
): Promise<readonly number[]> {
  if (from === 'earliest') return edges(cluster, partitions, 'beginning')
  if (from === 'latest') return edges(cluster, partitions, 'end')
  if ('time' in from) return atTime(cluster, partitions, from.time)
  const position = positionOf(from.position)
  const [at] = partitions.filter(({ partition }) => partition === position.partition)
  if (at === undefined) return edges(cluster, partitions, 'beginning')
  const time = await timeOf(cluster, at, position.offset)
  const others = time === undefined ? await edges(cluster, partitions, 'end') : await atTime(cluster, partitions, time)
  return partitions.map(({ partition }, i) =>
    partition === position.partition ? position.offset : (others[i] as number),
  )
}

async function atTime(cluster: ClusterMap, partitions: readonly Partition[], time: number): Promise<readonly number[]> {
  const asked = partitions.map(({ topic, partition }) => ({ topic, partition, at: Math.max(0, Math.floor(time)) }))
  const found = await offsetsAt(cluster, asked)
  const ends = await edges(cluster, partitions, 'end')
  return found.map(({ offset }, i) => (offset < 0 ? (ends[i] as number) : offset))
}

/** When the message at an offset, or the next one after it, was sent; undefined where there is none. */
export async function timeOf(cluster: ClusterMap, at: Partition, offset: number): Promise<number | undefined> {
  const [answer] = await cluster.patiently({ topics: [at.topic] }, async () =>
    cluster.wire.fetch(await cluster.leader(at.topic, at.partition), {
      committedOnly: true,
      maxWaitMs: 0,
      maxBytes: 1,
      partitions: [{ ...at, offset, maxBytes: 1 }],
    }),
  )
  return answer?.records[0]?.timestamp
}
