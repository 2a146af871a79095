import { MessagingError } from '@posthorn/core/driver'
import type { Row, Sql } from './sql.ts'

/** Places of one topic: `seq` = topic × span + place. 2^53 / 2^39 leaves 16,383 topics of 5 × 10^11 messages each. */
export const span = 2 ** 39
/** How many topics a file holds at a time, reply addresses among them. */
export const mostTopics = 2 ** 14 - 1

/** A topic as it is in the file. */
export interface TopicRow {
  readonly id: number
  readonly name: string
  readonly reply: boolean
  readonly partitions: number | null
  readonly retention: number | null
  readonly priority: boolean
  /** The highest `seq` that retention took. */
  readonly freed: number
  /** The highest `seq` that is gone from the end of the log; it is not used again. */
  readonly top: number
}

/** A row of `posthorn_topic`. */
export function topicFrom(row: Row): TopicRow {
  return {
    id: row['id'] as number,
    name: row['name'] as string,
    reply: row['reply'] === 1,
    partitions: row['partitions'] as number | null,
    retention: row['retention'] as number | null,
    priority: row['priority'] === 1,
    freed: row['freed'] as number,
    top: row['top'] as number,
  }
}

/** The topic of this name, if somebody declared it. */
export function findTopic(sql: Sql, ns: string, name: string): TopicRow | undefined {
  const row = sql.row('SELECT * FROM posthorn_topic WHERE ns = ? AND name = ?', ns, name)
  return row === undefined ? undefined : topicFrom(row)
}

/** Makes a topic that is not there. */
export function addTopic(
  sql: Sql,
  ns: string,
  name: string,
  spec: { readonly partitions: number; readonly retentionMs: number | undefined; readonly keyed: boolean } | undefined,
): TopicRow {
  const row = sql.row(
    'INSERT INTO posthorn_topic (id, ns, name, partitions, retention, keyed, reply) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *',
    freeNumber(sql, name),
    ns,
    name,
    spec?.partitions ?? null,
    spec?.retentionMs ?? null,
    spec?.keyed === true ? 1 : 0,
    spec === undefined ? 1 : 0,
  ) as Row
  return topicFrom(row)
}

/**
 * A number that no topic has. All come in turn, so that one which became free is given again as late as can be: whoever reads a topic page by page
 * and has not seen yet that it is gone must not read on in another.
 */
function freeNumber(sql: Sql, name: string): number {
  const last = sql.row(`SELECT coalesce((SELECT value FROM posthorn_meta WHERE name = 'topic'),
    (SELECT max(id) FROM posthorn_topic), 0) AS last`)?.['last'] as number
  for (let step = 0; step < mostTopics; step++) {
    const id = ((last + step) % mostTopics) + 1
    if (sql.row('SELECT 1 FROM posthorn_topic WHERE id = ?', id) !== undefined) continue
    sql.run("INSERT INTO posthorn_meta VALUES ('topic', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", id)
    return id
  }
  throw new MessagingError(
    'invalid',
    `there is no room for ${name}: the file has ${mostTopics} topics and reply addresses, which is the most; end some with broker.topics.delete(), or use a second file`,
  )
}

/** The end of a topic's log: the last `seq` that was given, and the time from which the next may count. */
export function endOf(sql: Sql, topic: Pick<TopicRow, 'id' | 'top'>): { seq: number; at: number } {
  const base = topic.id * span
  const last = sql.row(
    'SELECT seq, at FROM posthorn_message WHERE seq > ? AND seq < ? ORDER BY seq DESC LIMIT 1',
    base,
    base + span,
  )
  return {
    seq: Math.max((last?.['seq'] as number | undefined) ?? base, topic.top),
    at: (last?.['at'] as number | undefined) ?? 0,
  }
}
