import type { Store } from '@posthorn/core'
import type { Dispatch, PatternSpec, TopicSpec } from '@posthorn/core/driver'
import { type SteerableClock, steerableClock } from './clock.ts'
import type { Waiting } from './delays.ts'
import { disagrees, noPosition, positionLost, undeclared } from './errors.ts'
import { admit, clear, type Group, rouse } from './group.ts'
import type { Entry, TopicLog } from './topic.ts'
import { topicLog, trim } from './topic.ts'

/** What several brokers of one process may share. */
export interface Log {
  readonly name: string
  readonly clock: SteerableClock
  readonly manual: boolean
  /** By namespace. */
  readonly spaces: Map<string, Space>
  /** Made at the first use. */
  store: Store | undefined
  /** Rises with all that happens; `idle` looks whether it stands still. */
  activity: number
}

/** The topics of one namespace. */
export interface Space {
  readonly log: Log
  readonly topics: Map<string, TopicLog>
  /** By source and name. */
  readonly groups: Map<string, Group>
  readonly patterns: Set<{ readonly group: Group; readonly covers: (topic: string) => boolean }>
  /** Delayed messages by topic and id. */
  readonly delayed: Map<string, Waiting[]>
  /** Letters by topic and group, in order. */
  readonly shelves: Map<string, Set<Entry>>
  seq: number
}

const logs = new Map<string, Log>()

/** The log of this name in this process; without a name one of its own. */
export function logNamed(name: string | undefined, manual: boolean): Log {
  const known = name === undefined ? undefined : logs.get(name)
  if (known !== undefined) {
    if (known.manual !== manual)
      throw disagrees(
        `the memory log ${name}`,
        'clock',
        known.manual ? "'manual'" : "'running'",
        manual ? "'manual'" : "'running'",
      )
    return known
  }
  const log: Log = {
    name: name ?? '',
    clock: steerableClock(manual),
    manual,
    spaces: new Map(),
    store: undefined,
    activity: 0,
  }
  if (name !== undefined) logs.set(name, log)
  return log
}

/** What brokers of this namespace see. */
export function spaceOf(log: Log, namespace: string): Space {
  let space = log.spaces.get(namespace)
  if (space === undefined) {
    space = {
      log,
      topics: new Map(),
      groups: new Map(),
      patterns: new Set(),
      delayed: new Map(),
      shelves: new Map(),
      seq: 0,
    }
    log.spaces.set(namespace, space)
  }
  return space
}

/** The topic, made if it is not there; the groups of patterns that cover it read it from now on. */
export function topicOf(space: Space, spec: TopicSpec): TopicLog {
  const known = space.topics.get(spec.name)
  if (known !== undefined) {
    if (known.spec !== undefined && known.spec.partitions !== spec.partitions)
      throw disagrees(`the topic ${spec.name}`, 'partitions', `${known.spec.partitions}`, `${spec.partitions}`)
    return known
  }
  return addTopic(space, topicLog(spec.name, spec, false))
}

/** Registers a topic. */
export function addTopic(space: Space, topic: TopicLog): TopicLog {
  space.topics.set(topic.name, topic)
  if (!topic.reply) {
    for (const { group, covers } of space.patterns) if (covers(topic.name)) topic.groups.add(group)
  }
  return topic
}

/** Those that a subscription reads. */
export function topicsOf(space: Space, source: TopicSpec | PatternSpec, covers: (name: string) => boolean): TopicLog[] {
  if (!('pattern' in source)) {
    const topic = space.topics.get(source.name)
    if (topic === undefined) throw undeclared(source.name)
    return [topic]
  }
  return [...space.topics.values()].filter((topic) => !topic.reply && covers(topic.name))
}

/** Puts a message at the end of its topic and gives it to its groups; `rouseReaders` then wakes them. */
export function append(space: Space, topic: TopicLog, message: Dispatch, now: number): Entry {
  const entry: Entry = { topic, message, seq: ++space.seq, at: now, open: 0 }
  topic.entries.push(entry)
  for (const group of topic.groups) admit(group, entry)
  if (entry.open === 0) trim(topic, space.log.clock)
  return entry
}

/** Wakes who waits for this topic. */
export function rouseReaders(topic: TopicLog): void {
  for (const group of topic.groups) if (group.waiting.size > 0) rouse(group)
}

/** Ends a group: nothing is kept for it any more. */
export function endGroup(group: Group, topics: Iterable<TopicLog>): void {
  group.ended = true
  for (const topic of topics) topic.groups.delete(group)
  clear(group)
}

/** The place in the log that a position names. */
export function seqOf(position: string): number {
  if (!/^\d{1,15}$/.test(position)) throw noPosition(position)
  return Number(position)
}

/** What is held of the topics from a place on, oldest first; a position that retention took is refused. */
export function heldFrom(
  topics: readonly TopicLog[],
  from: 'earliest' | 'latest' | { readonly time: number } | { readonly position: string },
): Entry[] {
  if (from === 'latest') return []
  let wanted: (entry: Entry) => boolean = () => true
  if (from !== 'earliest') {
    if ('time' in from) wanted = (entry) => entry.at >= from.time
    else {
      const seq = seqOf(from.position)
      for (const topic of topics) if (!(seq > topic.freed)) throw positionLost(topic.name, from.position)
      wanted = (entry) => entry.seq >= seq
    }
  }
  const found = topics.flatMap((topic) => [...topic.entries].filter(wanted))
  return topics.length > 1 ? found.sort((a, b) => a.seq - b.seq) : found
}
