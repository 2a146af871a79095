import { type Dispatch, MessagingError, type SendResult } from '@posthorn/core/driver'
import { headColumn, messageColumns, typeColumn, valuesOf } from './convert.ts'
import { undeclared } from './errors.ts'
import type { Hub } from './hub.ts'
import type { Row, Sql } from './sql.ts'
import type { Work } from './writer.ts'

/** Places of one topic: `seq` = topic × span + place. 2^53 / 2^39 leaves 16,383 topics of 5 × 10^11 messages each. */
export const span = 2 ** 39
const mostTopics = 2 ** 14 - 1

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
    'INSERT INTO posthorn_topic (ns, name, partitions, retention, keyed, reply) VALUES (?, ?, ?, ?, ?, ?) RETURNING *',
    ns,
    name,
    spec?.partitions ?? null,
    spec?.retentionMs ?? null,
    spec?.keyed === true ? 1 : 0,
    spec === undefined ? 1 : 0,
  ) as Row
  const topic = topicFrom(row)
  if (topic.id > mostTopics)
    throw new MessagingError('invalid', `${name} would be topic ${topic.id} of the file, and ${mostTopics} is the most`)
  return topic
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

const insertMessage = `INSERT INTO posthorn_message (seq, at, grp, due, ${messageColumns}) VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?)`
const insertDelayed = `INSERT INTO posthorn_delayed (topic, due, grp, ${messageColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const insertLetter = `INSERT INTO posthorn_letter (ns, topic, grp, at, ${messageColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/** What of a message cannot be held, before anything is written. */
function refusal(message: Dispatch, maxBytes: number): MessagingError | undefined {
  if (message.body.byteLength <= maxBytes) return undefined
  return new MessagingError(
    'too-large',
    `the body of ${message.id} has ${message.body.byteLength} bytes, and ${maxBytes} is the most; send a reference to it instead`,
  )
}

/** Where messages are put, and by whom the readers are told. */
export interface Place {
  readonly hub: Pick<Hub, 'wake' | 'path'>
  readonly namespace: string
  readonly maxBytes: number
}

interface Open {
  readonly topic: TopicRow
  seq: number
  at: number
  prioritized: boolean
}

/** Puts messages at the ends of their topics, on shelves or aside until they are due. One result each; one that is refused writes nothing. */
export function place(
  work: Work,
  { hub, namespace, maxBytes }: Place,
  batch: readonly Dispatch[],
  now: number,
): SendResult[] {
  const { sql } = work
  const open = new Map<string, Open | undefined>()
  const touched = new Set<number>()
  const insert = sql.statement(insertMessage)
  let lastName: string | undefined
  let last: Open | undefined
  const results = batch.map((message): SendResult => {
    const error = refusal(message, maxBytes)
    if (error !== undefined) return { ok: false, error }
    if (message.letter !== undefined) {
      sql.run(insertLetter, namespace, message.topic, message.group ?? null, now, ...valuesOf(message))
      return { ok: true, position: undefined }
    }
    if (message.topic !== lastName) {
      lastName = message.topic
      if (!open.has(lastName)) open.set(lastName, opened(sql, namespace, lastName, now))
      last = open.get(lastName)
    }
    if (last === undefined) return { ok: false, error: undeclared(message.topic, hub.path) }
    touched.add(last.topic.id)
    if (message.notBefore !== undefined && message.notBefore > now) {
      sql.run(insertDelayed, last.topic.id, message.notBefore, message.group ?? null, ...valuesOf(message))
      return { ok: true, position: undefined }
    }
    if (message.priority !== undefined && !last.prioritized) {
      sql.run('UPDATE posthorn_topic SET priority = 1 WHERE id = ?', last.topic.id)
      last.prioritized = true
    }
    const seq = ++last.seq
    insert.run(
      seq,
      last.at,
      message.group ?? null,
      message.id,
      message.key ?? null,
      message.tag ?? null,
      message.body,
      typeColumn(message.contentType),
      message.sentAt ?? null,
      headColumn(message),
    )
    return { ok: true, position: (seq % span).toString() }
  })
  if (touched.size > 0) work.after(() => hub.wake.topics(touched))
  return results
}

function opened(sql: Sql, ns: string, name: string, now: number): Open | undefined {
  const topic = findTopic(sql, ns, name)
  if (topic === undefined) return undefined
  const end = endOf(sql, topic)
  // Times of a topic never fall, so that a time is found by halving.
  return { topic, seq: end.seq, at: Math.max(now, end.at), prioritized: topic.priority }
}

const moveDelayed = `INSERT INTO posthorn_message (seq, at, grp, due, ${messageColumns})
  SELECT ?, ?, grp, due, ${messageColumns} FROM posthorn_delayed WHERE no = ?`

/** Moves what is due to the ends of the topics, oldest due first; whose topic it is does not matter. */
export function promote(work: Work, hub: Pick<Hub, 'wake'>, now: number): void {
  const { sql } = work
  const due = sql.rows('SELECT no, topic, head FROM posthorn_delayed WHERE due <= ? ORDER BY due, no LIMIT 500', now)
  if (due.length === 0) return
  const ends = new Map<number, { seq: number; at: number }>()
  for (const { no, topic: id, head } of due) {
    let end = ends.get(id as number)
    if (end === undefined) {
      const topic = topicFrom(sql.row('SELECT * FROM posthorn_topic WHERE id = ?', id as number) as Row)
      end = endOf(sql, topic)
      end.at = Math.max(end.at, now)
      ends.set(id as number, end)
    }
    if (typeof head === 'string' && head.includes('"ph-priority"'))
      sql.run('UPDATE posthorn_topic SET priority = 1 WHERE id = ? AND priority = 0', id as number)
    sql.run(moveDelayed, ++end.seq, end.at, no as number)
    sql.run('DELETE FROM posthorn_delayed WHERE no = ?', no as number)
  }
  work.after(() => hub.wake.topics(ends.keys()))
}

/** Takes a copy of a message to one group out of the log; its place is not used again. */
export function dropCopies(sql: Sql, seqs: readonly number[]): void {
  for (const seq of seqs) {
    sql.run('DELETE FROM posthorn_message WHERE seq = ? AND grp IS NOT NULL', seq)
    sql.run('UPDATE posthorn_topic SET top = ?1 WHERE id = ?2 AND top < ?1', seq, Math.floor(seq / span))
  }
}
