import { createHash } from 'node:crypto'
import { MessagingError } from '@posthorn/core'
import type { PatternSpec, TopicSpec } from '@posthorn/core/driver'
import { type KafkaMapping, mappingOf } from './options.ts'

/** Parts what we derive from a topic's name; no name of a user's may contain it. */
const mark = '.-.'

/** Delayed copies wait in the retry topic of the first step that is at least as long: what waits long does not hold up what waits briefly. */
export const retrySteps: readonly { readonly name: string; readonly upToMs: number }[] = [
  { name: '10s', upToMs: 10_000 },
  { name: '60s', upToMs: 60_000 },
  { name: '15m', upToMs: 900_000 },
]

/** Every name that we use on the broker. Deterministic, so that processes agree without asking each other. */
export interface Names {
  /** The Kafka topic of a topic of ours. */
  topic(name: string): string
  /** The consumer group. */
  group(source: TopicSpec | PatternSpec | string, group: string): string
  /** The retry topics of a group, by step. */
  retries(topic: string, group: string): readonly string[]
  dead(topic: string, group: string | undefined): string
  readonly replies: string
  /** Our name of a Kafka topic; undefined where it is not one of this namespace's or a derived one. */
  readable(kafkaTopic: string): string | undefined
  /** Whose topic of ours it is that lies beside another; undefined where it is none. */
  owner(kafkaTopic: string): { readonly topic: string; readonly group: string | undefined } | undefined
  /** Notes what the user mapped a topic to. */
  map(topic: string, on: unknown): void
}

/** The names under a namespace; '' is none. */
export function names(namespace: string): Names {
  const prefix = namespace === '' ? '' : `${legal(namespace)}.`
  const mappings = new Map<string, KafkaMapping>()
  const plain = (name: string): string => {
    if (name.includes(mark))
      throw new MessagingError(
        'invalid',
        `the name ${JSON.stringify(name)} contains ${mark}, which parts derived names`,
      )
    return legal(name)
  }
  const derived = (topic: string, ...rest: readonly string[]): string =>
    short(prefix + [topic, ...rest].map(plain).join(mark))
  return {
    topic: (name) => mappings.get(name)?.topic ?? short(prefix + plain(name)),
    group(source, group) {
      if (typeof source === 'object' && 'pattern' in source) return `${prefix}${group}${mark}${source.pattern}`
      const topic = typeof source === 'string' ? source : source.name
      return mappings.get(topic)?.groups?.[group] ?? prefix + group
    },
    retries: (topic, group) => retrySteps.map(({ name }) => derived(topic, group, `retry-${name}`)),
    dead: (topic, group) => (group === undefined ? derived(topic, 'dead') : derived(topic, group, 'dead')),
    replies: `${prefix}posthorn${mark}replies`,
    readable(kafkaTopic) {
      for (const [name, { topic }] of mappings) if (topic === kafkaTopic) return name
      if (!kafkaTopic.startsWith(prefix) || kafkaTopic.startsWith('__') || kafkaTopic.includes(mark)) return undefined
      return plainOf(kafkaTopic.slice(prefix.length))
    },
    owner(kafkaTopic) {
      if (!kafkaTopic.startsWith(prefix)) return undefined
      const [topic = '', ...rest] = kafkaTopic.slice(prefix.length).split(mark).map(plainOf)
      const last = rest.pop()
      if (rest.length > 1 || (last !== 'dead' && last?.startsWith('retry-') !== true)) return undefined
      return { topic, group: rest[0] }
    },
    map(topic, on) {
      const mapping = mappingOf(on, topic)
      if (mapping !== undefined) mappings.set(topic, mapping)
    },
  }
}

/** Kafka allows letters, digits, dot, underscore and hyphen; every other byte becomes `-xHH-`. */
function legal(name: string): string {
  return Buffer.from(name, 'utf8')
    .toString('latin1')
    .replace(/[^A-Za-z0-9._-]/g, (byte) => `-x${byte.charCodeAt(0).toString(16).padStart(2, '0')}-`)
}

/** The name that `legal` was given, where it changed one. */
function plainOf(name: string): string {
  const back = Buffer.from(
    name.replace(/-x([0-9a-f]{2})-/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')
  return legal(back) === name ? back : name
}

/** Kafka allows 249 characters. */
function short(name: string): string {
  if (name.length <= 249) return name
  return `${name.slice(0, 216)}-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`
}
