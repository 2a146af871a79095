import type { Dispatch, TopicSpec } from '@posthorn/core/driver'
import { MessagingError, partitionOf, patternMatches } from '@posthorn/core/driver'
import { type Descent, descentOf } from './ladder.ts'
import type { Names } from './names.ts'
import type { RabbitMapping } from './options.ts'

/** Where a message is published to. */
export interface Target {
  readonly exchange: string
  readonly key: string
  /** Of a message that waits on the ladder. */
  readonly descent?: Descent | undefined
}

/** What must be made or found out before a message can be placed. */
export type Need =
  | { readonly need: 'level'; readonly level: number }
  | { readonly need: 'shelf'; readonly topic: string; readonly group: string }
  | { readonly need: 'group'; readonly topic: string; readonly group: string; readonly partitions: number }

/** The queues of a group by lane; 'delivery': nobody here knows them, the broker's bindings do. */
export type GroupQueues = readonly string[] | 'delivery'

/** What this driver knows of topics and groups: enough to place a message without asking. */
export interface Routes {
  addTopic(spec: TopicSpec, mapping: RabbitMapping | undefined): void
  addGroup(topic: string, group: string, queues: GroupQueues): void
  addPatternGroup(pattern: string, group: string, queue: string): void
  addShelf(topic: string, group: string): void
  addLevel(level: number): void
  /** The highest level of the ladder that is in use. */
  readonly top: number | undefined
  /** A topic that has ended, with its groups and their shelves. */
  forget(topic: string): void
  /** A message did not find what was known to be there: the next is placed after asking anew. Whether there is anything to ask for. */
  missed(message: Dispatch): boolean
  groupQueues(topic: string, group: string): GroupQueues | undefined
  partitionsOf(topic: string): number
  /** Where it goes, or what is missing. Throws what can never be sent. */
  place(message: Dispatch, now: number): Target | Need
}

interface TopicRoute {
  readonly mapping: RabbitMapping | undefined
  readonly exchange: string
  /** Routing keys by lane. */
  readonly keys: readonly string[]
  /** Whether its queues know of priorities. */
  readonly priorities: boolean
}

/** Empty routes; `always`: queues know of priorities also where their topic says nothing of them. */
export function routesOf(names: Names, always: boolean): Routes {
  const topics = new Map<string, TopicRoute>()
  const groups = new Map<string, GroupQueues>()
  const patterns: { readonly pattern: string; readonly group: string; readonly queue: string }[] = []
  const shelves = new Set<string>()
  const levels = new Set<number>()
  let turn = 0

  const laneOf = ({ id, topic, key, partition }: Dispatch, lanes: number): number => {
    if (partition !== undefined) {
      if (partition < lanes) return partition
      throw new MessagingError(
        'invalid',
        `message ${id}: partition ${partition} of topic ${topic}, which has ${lanes}; they are counted from 0`,
      )
    }
    if (lanes === 1) return 0
    return key === undefined ? turn++ % lanes : partitionOf(key, lanes)
  }
  const toGroup = (message: Dispatch, group: string, descent: Descent | undefined): Target | Need => {
    const { topic } = message
    const lanes = topics.get(topic)?.keys.length ?? 1
    if (descent !== undefined) return { ...enter(descent), key: names.groupKey(topic, group, laneOf(message, lanes)) }
    const queues = groupQueues(topic, group)
    if (queues === undefined) return { need: 'group', topic, group, partitions: lanes }
    if (queues === 'delivery')
      return { exchange: names.delivery, key: names.groupKey(topic, group, laneOf(message, lanes)) }
    return { exchange: '', key: queues[laneOf(message, queues.length)] as string }
  }
  const enter = (descent: Descent): { exchange: string; descent: Descent } => ({
    exchange: names.level(descent.entry),
    descent,
  })
  const groupQueues: Routes['groupQueues'] = (topic, group) =>
    groups.get(`${topic}\n${group}`) ??
    patterns.flatMap((each) => (each.group === group && patternMatches(each.pattern, topic) ? [[each.queue]] : []))[0]
  return {
    addTopic(spec, mapping) {
      const { name, partitions } = spec
      topics.set(name, {
        mapping,
        exchange: mapping === undefined ? names.topic(name) : (mapping.exchange ?? ''),
        keys:
          mapping === undefined
            ? Array.from({ length: partitions }, (_, lane) => names.key(name, lane))
            : [mapping.exchange === undefined ? (mapping.queue ?? mapping.stream ?? '') : (mapping.routingKey ?? '')],
        priorities: always || mapping !== undefined || spec.priority !== undefined,
      })
    },
    addGroup: (topic, group, queues) => void groups.set(`${topic}\n${group}`, queues),
    addPatternGroup(pattern, group, queue) {
      if (!patterns.some((each) => each.queue === queue)) patterns.push({ pattern, group, queue })
    },
    addShelf: (topic, group) => void shelves.add(`${topic}\n${group}`),
    addLevel: (level) => void levels.add(level),
    get top() {
      return levels.size === 0 ? undefined : Math.max(...levels)
    },
    forget(topic) {
      topics.delete(topic)
      for (const name of [...groups.keys(), ...shelves]) {
        if (!name.startsWith(`${topic}\n`)) continue
        groups.delete(name)
        shelves.delete(name)
      }
    },
    missed({ topic, group, letter, notBefore }) {
      const name = `${topic}\n${group}`
      if (letter !== undefined) return shelves.delete(name)
      if (notBefore !== undefined && levels.size > 0) {
        levels.clear()
        return true
      }
      return group !== undefined && groups.delete(name)
    },
    groupQueues,
    partitionsOf: (topic) => topics.get(topic)?.keys.length ?? 1,
    place(message, now) {
      const { topic, group, letter, notBefore } = message
      if (letter !== undefined) {
        if (group === undefined) return { exchange: names.unroutable, key: names.key(topic, 0) }
        if (!shelves.has(`${topic}\n${group}`)) return { need: 'shelf', topic, group }
        return { exchange: '', key: names.shelf(topic, group) }
      }
      const descent = notBefore === undefined ? undefined : descentOf(notBefore - now)
      if (descent !== undefined && !levels.has(descent.entry)) return { need: 'level', level: descent.entry }
      if (group !== undefined) return toGroup(message, group, descent)
      const route = topics.get(topic)
      if (route === undefined) {
        if (descent === undefined) return { exchange: '', key: names.address(topic) }
        throw new MessagingError('unsupported', `message ${message.id}: what goes to the address ${topic} cannot wait`)
      }
      if (message.priority !== undefined && !route.priorities)
        throw new MessagingError(
          'unsupported',
          `message ${message.id}: classic queues have priorities only where they are made with them; say topic('${topic}', { priority }), which is that of messages that name none`,
        )
      const lane = laneOf(message, route.mapping === undefined ? route.keys.length : 1)
      if (descent === undefined) return { exchange: route.exchange, key: route.keys[lane] as string }
      if (route.mapping !== undefined)
        throw new MessagingError(
          'unsupported',
          `message ${message.id}: topic ${topic} is mapped by on.rabbitmq, where RabbitMQ cannot delay; connect with a store, which does`,
        )
      return { ...enter(descent), key: route.keys[lane] as string }
    },
  }
}
