import type { Filter, Ordering } from '@posthorn/core'
import {
  compileFilter,
  type Filterable,
  type From,
  inboxSpace,
  MessagingError,
  type PatternSpec,
  patternMatches,
  type TopicSpec,
} from '@posthorn/core/driver'
import { disagrees, undeclared } from './errors.ts'
import { startOf } from './positions.ts'
import type { Row, Sql } from './sql.ts'
import { addTopic, findTopic, span, type TopicRow, topicFrom } from './topic-rows.ts'

/** A group as its members know it. */
export interface Group {
  readonly id: number
  readonly name: string
  readonly order: Ordering
  readonly matches: (message: Filterable) => boolean
  /** The one topic that it reads; undefined: those of a pattern. */
  readonly topic: number | undefined
}

/** What a subscription reads, and as whom. */
export interface GroupWish {
  readonly source: TopicSpec | PatternSpec
  readonly name: string
  readonly order: Ordering
  readonly filter: Filter | undefined
  readonly from: From
  /** Epoch ms until which the group lives without a sign; undefined: for ever. */
  readonly alive: number | undefined
}

/** How an error names a source. */
export function nameOf(source: TopicSpec | PatternSpec): string {
  return 'pattern' in source ? source.pattern : source.name
}

function kindOf(source: TopicSpec | PatternSpec): 'p' | 't' {
  return 'pattern' in source ? 'p' : 't'
}

/** Whether all of this is there and agrees, so that nothing need be written. Throws where it disagrees. */
export function isDeclared(sql: Sql, ns: string, spec: TopicSpec): boolean {
  const topic = findTopic(sql, ns, spec.name)
  if (topic === undefined) return false
  agreesTopic(topic, spec)
  if ((topic.retention ?? undefined) !== spec.retentionMs) return false
  return spec.groups.every((group) => {
    const row = groupRow(sql, ns, spec, group.name)
    if (row !== undefined) agreesGroup(row, { ...group, source: spec })
    return row !== undefined
  })
}

/** Makes the topic and its groups; what is there and says something else is refused. */
export function declareTopic(sql: Sql, ns: string, spec: TopicSpec): void {
  const found = findTopic(sql, ns, spec.name)
  if (found !== undefined) {
    agreesTopic(found, spec)
    sql.run('UPDATE posthorn_topic SET retention = ? WHERE id = ?', spec.retentionMs ?? null, found.id)
  } else {
    const topic = addTopic(sql, ns, spec.name, spec)
    // Groups of patterns that cover it read it from its beginning.
    for (const { id, source } of sql.rows("SELECT id, source FROM posthorn_group WHERE ns = ? AND kind = 'p'", ns))
      if (patternMatches(source as string, spec.name)) addCursor(sql, id as number, topic.id, topic.id * span)
  }
  for (const { name, order, filter } of spec.groups)
    joinGroup(sql, ns, { source: spec, name, order, filter, from: 'earliest', alive: undefined }, '')
}

/** The topics that a source is, as of now. */
export function topicsOf(sql: Sql, ns: string, source: TopicSpec | PatternSpec, path: string): TopicRow[] {
  if ('pattern' in source)
    return sql
      .rows('SELECT * FROM posthorn_topic WHERE ns = ? AND reply = 0', ns)
      .map(topicFrom)
      .filter(({ name }) => patternMatches(source.pattern, name))
  const topic = findTopic(sql, ns, source.name)
  if (topic === undefined) throw undeclared(source.name, path)
  return [topic]
}

/** The group, made from its start if it is new; one that is there must agree. */
export function joinGroup(sql: Sql, ns: string, wish: GroupWish, path: string): Group {
  const found = groupRow(sql, ns, wish.source, wish.name)
  if (found !== undefined) {
    agreesGroup(found, wish)
    return groupFrom(sql, found)
  }
  const topics = topicsOf(sql, ns, wish.source, path)
  if (typeof wish.from === 'object' && 'position' in wish.from && 'pattern' in wish.source)
    throw new MessagingError(
      'invalid',
      `a position belongs to one topic, and ${wish.source.pattern} may be many; give a time`,
    )
  const made = sql.row(
    'INSERT INTO posthorn_group (ns, kind, source, name, ord, filter, alive) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *',
    ns,
    kindOf(wish.source),
    nameOf(wish.source),
    wish.name,
    wish.order,
    filterText(wish.filter) ?? null,
    wish.alive ?? null,
  ) as Row
  for (const topic of topics) addCursor(sql, made['id'] as number, topic.id, startOf(sql, topic, wish.from))
  return groupFrom(sql, made)
}

/** The row of a group, if anybody has joined or declared it. */
export function groupRow(sql: Sql, ns: string, source: TopicSpec | PatternSpec, name: string): Row | undefined {
  return sql.row(
    'SELECT * FROM posthorn_group WHERE ns = ? AND kind = ? AND source = ? AND name = ?',
    ns,
    kindOf(source),
    nameOf(source),
    name,
  )
}

/** A row of `posthorn_group` made ready. */
export function groupFrom(sql: Sql, row: Row): Group {
  const filter = row['filter'] as string | null
  const topic = row['kind'] === 't' ? findTopic(sql, row['ns'] as string, row['source'] as string) : undefined
  return {
    id: row['id'] as number,
    name: row['name'] as string,
    order: row['ord'] as Ordering,
    topic: topic?.id,
    matches: filter === null ? everything : compileFilter(JSON.parse(filter) as Filter),
  }
}

/** The filter of a group that has none. */
export function everything(): boolean {
  return true
}

/** Forgets a group with all that it had not settled, so that nothing is kept for it. */
export function dropGroup(sql: Sql, id: number): void {
  for (const table of ['cursor', 'delivery', 'claim']) sql.run(`DELETE FROM posthorn_${table} WHERE grp = ?`, id)
  sql.run('DELETE FROM posthorn_group WHERE id = ?', id)
}

/** Forgets a reply address with what was sent there. */
export function dropReply(sql: Sql, ns: string, name: string): void {
  const topic = findTopic(sql, ns, name)
  if (topic?.reply !== true) return
  const base = topic.id * span
  sql.run('DELETE FROM posthorn_message WHERE seq > ? AND seq < ?', base, base + span)
  sql.run('DELETE FROM posthorn_delayed INDEXED BY posthorn_delayed_id WHERE topic = ?', topic.id)
  sql.run('DELETE FROM posthorn_topic WHERE id = ?', topic.id)
}

/** Rows of an inbox that one transaction takes away: a long one must not hold the event loop. */
const mostOfInbox = 2_000
const cutInbox = `DELETE FROM posthorn_name WHERE (ns, space, name) IN (
  SELECT ns, space, name FROM posthorn_name WHERE ns = ?1 AND space >= ?2 AND space < ?2 || char(0x10FFFF) LIMIT ${mostOfInbox})`

/**
 * Ends a group that lives only with its member, its inbox with it: nothing comes to it again. What is long goes by and by: then the group counts as dead, and
 * upkeep goes on. True where all is gone.
 */
export function endGroup(
  sql: Sql,
  { id, ns, name }: { readonly id: number; readonly ns: string; readonly name: string },
): boolean {
  if (sql.run(cutInbox, ns, inboxSpace(name, '')) === mostOfInbox) {
    sql.run('UPDATE posthorn_group SET alive = 0 WHERE id = ?', id)
    return false
  }
  dropGroup(sql, id)
  return true
}

/** Broadcast groups and reply addresses whose process died without a word. True where there is more to do. */
export function dropDeadGroups(sql: Sql, now: number): boolean {
  for (const row of sql.rows('SELECT id, ns, kind, source, name FROM posthorn_group WHERE alive < ?', now)) {
    const ns = row['ns'] as string
    if (!endGroup(sql, { id: row['id'] as number, ns, name: row['name'] as string })) return true
    if (row['kind'] === 't') dropReply(sql, ns, row['source'] as string)
  }
  return false
}

function addCursor(sql: Sql, group: number, topic: number, at: number): void {
  sql.run('INSERT OR IGNORE INTO posthorn_cursor VALUES (?, ?, ?)', group, topic, at)
}

function agreesTopic(topic: TopicRow, spec: TopicSpec): void {
  if (topic.partitions !== null && topic.partitions !== spec.partitions)
    throw disagrees(`the topic ${spec.name}`, 'partitions', `${topic.partitions}`, `${spec.partitions}`)
}

function agreesGroup(row: Row, wish: Pick<GroupWish, 'source' | 'name' | 'order' | 'filter'>): void {
  const what = `the group ${wish.name} of ${nameOf(wish.source)}`
  if (row['ord'] !== wish.order) throw disagrees(what, 'order', `${row['ord']}`, wish.order)
  const filter = filterText(wish.filter)
  if ((row['filter'] ?? undefined) !== filter)
    throw disagrees(what, 'filter', `${row['filter'] ?? 'none'}`, filter ?? 'none')
}

function filterText(filter: Filter | undefined): string | undefined {
  return filter === undefined ? undefined : JSON.stringify(filter)
}
