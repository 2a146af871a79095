import { patternMatches, type Subscription } from '@posthorn/core/driver'
import type { ClusterMap } from './cluster.ts'
import { absent } from './errors.ts'
import type { Names } from './names.ts'

/** The Kafka topics that a subscription reads: its topic or a pattern's topics, and the group's retry topics of each. */
export interface Subscribed {
  readonly kafkaTopics: readonly string[]
  /** Without retry topics. */
  readonly sources: readonly string[]
  /** Ours of a Kafka topic, and whether delayed copies lie there. */
  describe(kafkaTopic: string): { readonly topic: string; readonly delayed: boolean }
  covers(kafkaTopic: string): boolean
  /** Looks at what there is; a pattern's topics may appear at any time. */
  look(): Promise<Sight>
}
/** What there is. */
export interface Sight {
  /** Topics and their partitions, as one text to compare. */
  readonly known: string
  /** Whether the one topic of a subscription without a pattern is gone. */
  readonly gone: boolean
}

/** What a subscription reads. */
export function subscribed(
  { source, group }: Pick<Subscription, 'source' | 'group'>,
  cluster: ClusterMap,
  names: Names,
): Subscribed {
  const topics = new Map<string, { readonly topic: string; readonly delayed: boolean }>()
  const add = (topic: string): void => {
    topics.set(names.topic(topic), { topic, delayed: false })
    for (const retry of names.retries(topic, group)) topics.set(retry, { topic, delayed: true })
  }
  const covered = (kafkaTopic: string): string | undefined => {
    const topic = names.readable(kafkaTopic)
    if (topic === undefined || !('pattern' in source)) return undefined
    return patternMatches(source.pattern, topic) ? topic : undefined
  }
  if ('name' in source) add(source.name)
  return {
    get kafkaTopics() {
      return [...topics.keys()]
    },
    get sources() {
      return [...topics].filter(([, { delayed }]) => !delayed).map(([topic]) => topic)
    },
    describe: (kafkaTopic) =>
      topics.get(kafkaTopic) ?? { topic: names.readable(kafkaTopic) ?? kafkaTopic, delayed: false },
    covers: (kafkaTopic) => topics.has(kafkaTopic) || covered(kafkaTopic) !== undefined,
    async look() {
      if ('pattern' in source)
        for (const { name } of await cluster.refresh()) {
          const topic = covered(name)
          if (topic !== undefined) add(topic)
        }
      const views = topics.size === 0 ? [] : await cluster.refresh([...topics.keys()])
      const leaderless = views.find(({ fault }) => fault !== undefined && !absent(fault))
      if (leaderless?.fault !== undefined) throw leaderless.fault
      const there = views.filter(({ fault }) => fault === undefined)
      const known = there.map(({ name, partitions }) => `${name}:${partitions.length}`).sort()
      const gone =
        'name' in source &&
        views.some(({ name, fault }) => name === names.topic(source.name) && fault !== undefined && absent(fault))
      return { known: known.join(' '), gone }
    },
  }
}
