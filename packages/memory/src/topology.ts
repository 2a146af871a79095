import type { Filter, Ordering } from '@posthorn/core'
import type { Dispatch, GroupSpec, PatternSpec, TopicSpec } from '@posthorn/core/driver'
import { compileFilter, patternMatches } from '@posthorn/core/driver'
import { disagrees } from './errors.ts'
import { admit, emptyGroup, type Group } from './group.ts'
import { addTopic, heldFrom, type Space, topicOf, topicsOf } from './log.ts'
import { topicLog } from './topic.ts'

/** A topic by its name, or a pattern. */
type Named = Pick<TopicSpec, 'name'> | PatternSpec

/** What a subscription reads, and as whom. */
export interface GroupWish {
  readonly source: TopicSpec | PatternSpec
  readonly name: string
  readonly order: Ordering
  readonly filter: Filter | undefined
  readonly from: 'earliest' | 'latest' | { readonly time: number } | { readonly position: string }
}

/** Makes the topic and its groups; what is there and says something else is refused. */
export function declareTopic(space: Space, spec: TopicSpec): void {
  topicOf(space, spec)
  for (const { name, order, filter } of spec.groups)
    joinGroup(space, { source: spec, name, order, filter, from: 'earliest' })
}

/** Makes the address that a member reads answers from. */
export function addReplyAddress(space: Space, name: string): void {
  addTopic(space, topicLog(name, undefined, true))
}

/** The group, made and filled from its start if it is new; one that is there must agree. */
export function joinGroup(space: Space, wish: GroupWish): Group {
  const key = groupKey(wish.source, wish.name)
  const filter = filterText(wish.filter)
  const known = space.groups.get(key)
  if (known !== undefined) {
    if (known.order !== wish.order)
      throw disagrees(`the group ${wish.name} of ${nameOf(wish.source)}`, 'order', known.order, wish.order)
    if (known.filter !== filter)
      throw disagrees(
        `the group ${wish.name} of ${nameOf(wish.source)}`,
        'filter',
        known.filter ?? 'none',
        filter ?? 'none',
      )
    return known
  }
  const covers = coverOf(wish.source)
  const topics = topicsOf(space, wish.source, covers)
  const old = heldFrom(topics, wish.from)
  const group = emptyGroup(wish.name, wish.order, filter, matcher(wish.filter), space.log.clock)
  space.groups.set(key, group)
  if ('pattern' in wish.source) space.patterns.add({ group, covers })
  for (const topic of topics) topic.groups.add(group)
  for (const entry of old) admit(group, entry)
  return group
}

/** Forgets a group, so that nothing is kept for it. */
export function dropGroup(space: Space, source: Named, group: Group): void {
  space.groups.delete(groupKey(source, group.name))
  for (const each of space.patterns) if (each.group === group) space.patterns.delete(each)
}

/** The group of this name, if anybody has joined or declared it. */
export function groupOf(space: Space, source: TopicSpec | PatternSpec, name: string): Group | undefined {
  return space.groups.get(groupKey(source, name))
}

/** The groups of one topic; those of patterns are not. */
export function groupsOf(space: Space, topic: string): readonly Group[] {
  const prefix = groupKey({ name: topic }, '')
  return [...space.groups].flatMap(([key, group]) => (key.startsWith(prefix) ? [group] : []))
}

/** Which topics a source is. */
export function coverOf(source: TopicSpec | PatternSpec): (topic: string) => boolean {
  return 'pattern' in source ? (topic) => patternMatches(source.pattern, topic) : (topic) => topic === source.name
}

/** How an error names a source. */
export function nameOf(source: Named): string {
  return 'pattern' in source ? source.pattern : source.name
}

function groupKey(source: Named, group: string): string {
  return `${'pattern' in source ? 'p' : 't'}${nameOf(source)}\n${group}`
}

function filterText(filter: GroupSpec['filter']): string | undefined {
  return filter === undefined ? undefined : JSON.stringify(filter)
}

/** Whether a message passes a filter. */
export function matcher(filter: Filter | undefined): (message: Dispatch) => boolean {
  return filter === undefined ? () => true : compileFilter(filter)
}
