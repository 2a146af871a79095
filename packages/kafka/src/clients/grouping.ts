import type { Partition } from './port.ts'

/** Items by topic, as requests of the protocol want them. */
export function byTopic<T extends Partition, P>(
  items: readonly T[],
  partition: (item: T) => P,
): { topic: string; partitions: P[] }[] {
  const topics = new Map<string, P[]>()
  for (const item of items) {
    const list = topics.get(item.topic)
    if (list === undefined) topics.set(item.topic, [partition(item)])
    else list.push(partition(item))
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}
