import type {
  Arrival,
  Dispatch,
  DriverLag,
  DriverQuery,
  ListedTopic,
  PatternSpec,
  Shelf,
  ShelvedLetter,
  TopicSpec,
} from '@posthorn/core/driver'
import { noSuchShelf, noSuchTopic, topicIsRead } from '@posthorn/core/driver'
import { forget } from './delays.ts'
import { Handed } from './handed.ts'
import { endGroup, heldFrom, type Space, topicsOf } from './log.ts'
import { type Entry, topicLog } from './topic.ts'
import { coverOf, dropGroup, groupOf, groupsOf } from './topology.ts'

/** What waits for a group; one that nobody has joined would have everything. */
export function lagOf(space: Space, source: TopicSpec | PatternSpec, name: string): DriverLag {
  const group = groupOf(space, source, name)
  const [first, backlog] =
    group === undefined
      ? ((held: Entry[]) => [held[0], held.length] as const)(
          heldFrom(topicsOf(space, source, coverOf(source)), 'earliest'),
        )
      : ([group.unsettled.values().next().value?.entry, group.unsettled.size] as const)
  return {
    backlog,
    oldestMs: first === undefined ? undefined : Math.max(0, space.log.clock.now() - first.at),
    // Nothing that a group has not settled is ever freed.
    lostInMs: undefined,
  }
}

/** Stored messages, oldest first, as of now; copies to one group are not stored messages. */
export async function* queryOf(
  space: Space,
  source: TopicSpec | PatternSpec,
  where: DriverQuery,
  signal: AbortSignal,
): AsyncIterable<Arrival> {
  for (const entry of heldFrom(topicsOf(space, source, coverOf(source)), 'earliest')) {
    if (signal.aborted) return
    const { message, at } = entry
    if (message.group !== undefined) continue
    if (where.id !== undefined && message.id !== where.id) continue
    if (where.key !== undefined && message.key !== where.key) continue
    if ((where.from !== undefined && at < where.from) || (where.to !== undefined && at > where.to)) continue
    yield new Handed(entry, undefined, undefined, 0)
  }
}

/** Every topic with its groups. */
export function topicsIn(space: Space): readonly ListedTopic[] {
  return [...space.topics.values()].flatMap(({ name, reply, spec }) =>
    reply
      ? []
      : [{ name, partitions: spec?.partitions ?? 1, groups: groupsOf(space, name).map((group) => group.name) }],
  )
}

/** Ends a topic, its groups, its delayed messages and its shelves. What a pattern's group has been given already stays with that group. */
export function removeTopic(space: Space, name: string): void {
  const topic = space.topics.get(name)
  if (topic === undefined || topic.reply) throw noSuchTopic(name, 'the memory log')
  const groups = groupsOf(space, name)
  const read = groups.filter(({ members }) => members.size > 0)
  if (read.length > 0)
    throw topicIsRead(
      name,
      read.map((group) => group.name),
    )
  for (const group of groups) {
    dropGroup(space, { name }, group)
    endGroup(group, [topic])
  }
  forget(space, name)
  for (const shelf of space.shelves.keys()) if (shelf.split('\n')[0] === name) space.shelves.delete(shelf)
  space.topics.delete(name)
}

/** Puts a letter on its shelf. */
export function shelve(space: Space, message: Dispatch): string {
  const name = shelfName(message.topic, message.group)
  let shelf = space.shelves.get(name)
  if (shelf === undefined) {
    shelf = new Set()
    space.shelves.set(name, shelf)
  }
  const topic = space.topics.get(message.topic) ?? topicLog(message.topic, undefined, false)
  const entry: Entry = { topic, message, seq: ++space.seq, at: space.log.clock.now(), open: 0 }
  shelf.add(entry)
  return entry.seq.toString()
}

/** The dead letters of a topic and a group. */
export function shelfOf(space: Space, topic: string, group: string | undefined): Shelf {
  const name = shelfName(topic, group)
  return {
    async *list(signal): AsyncIterable<ShelvedLetter> {
      const shelf = space.shelves.get(name)
      if (shelf === undefined && group !== undefined && !knowsGroup(space, group)) throw noSuchShelf(topic, group)
      for (const entry of [...(shelf ?? [])]) {
        if (signal.aborted) return
        const { letter } = entry.message
        if (letter === undefined || !space.shelves.get(name)?.has(entry)) continue
        yield { token: entry, message: new Handed(entry, undefined, undefined, 0), letter, group: entry.message.group }
      }
    },
    async remove(tokens) {
      const shelf = space.shelves.get(name)
      for (const token of tokens) shelf?.delete(token as Entry)
      if (shelf?.size === 0) space.shelves.delete(name)
    },
  }
}

/** Whether a group of this name reads anything: one that reads by a pattern has its letters with each topic. */
function knowsGroup(space: Space, name: string): boolean {
  return [...space.groups.values()].some((group) => group.name === name)
}

function shelfName(topic: string, group: string | undefined): string {
  return group === undefined ? topic : `${topic}\n${group}`
}
