import type { SQLInputValue } from 'node:sqlite'
import { type Dispatch, MessagingError, type SendResult } from '@posthorn/core/driver'
import { headColumn, messageColumns, typeColumn, valuesOf } from './convert.ts'
import { type End, endsOf } from './ends.ts'
import { undeclared } from './errors.ts'
import type { Hub } from './hub.ts'
import type { Row, Sql } from './sql.ts'
import { endOf, span, topicFrom } from './topic-rows.ts'
import { refuseInside } from './transaction.ts'
import type { Work } from './writer.ts'

const messageValues = '(?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?)'
/** Parameters of `messageValues`. */
const perMessage = 10
/** Rows of one statement: what a statement costs by itself is shared, and more gain nothing. */
const atOnce = 16
const insertMessages = (count: number): string =>
  `INSERT INTO posthorn_message (seq, at, grp, due, ${messageColumns}) VALUES ${Array(count).fill(messageValues).join(', ')}`
const insertOne = insertMessages(1)
const insertMany = insertMessages(atOnce)
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

/** Puts messages at the ends of their topics, on shelves or aside until they are due. One result each; one that is refused writes nothing. */
export function place(
  work: Work,
  { hub, namespace, maxBytes }: Place,
  batch: readonly Dispatch[],
  now: number,
): SendResult[] {
  const { sql } = work
  const ends = work.ends ?? endsOf(sql)
  const touched: number[] = []
  const rows: SQLInputValue[] = []
  const wereDue: (readonly [seq: number, due: number])[] = []
  let name: string | undefined
  let end: End | undefined
  const results = batch.map((message): SendResult => {
    const error = refusal(message, maxBytes)
    if (error !== undefined) return { ok: false, error }
    if (message.letter !== undefined) {
      sql.run(insertLetter, namespace, message.topic, message.group ?? null, now, ...valuesOf(message))
      return { ok: true, position: undefined }
    }
    if (message.topic !== name) {
      name = message.topic
      end = ends.of(namespace, name)
      if (end !== undefined && !touched.includes(end.topic.id)) touched.push(end.topic.id)
    }
    if (end === undefined) return { ok: false, error: undeclared(message.topic, hub.path) }
    if (message.notBefore !== undefined && message.notBefore > now) {
      sql.run(insertDelayed, end.topic.id, message.notBefore, message.group ?? null, ...valuesOf(message))
      return { ok: true, position: undefined }
    }
    if (message.priority !== undefined && !end.prioritized) {
      sql.run('UPDATE posthorn_topic SET priority = 1 WHERE id = ?', end.topic.id)
      end.prioritized = true
    }
    if (now > end.at) end.at = now
    const seq = ++end.seq
    if (message.notBefore !== undefined && message.group === undefined) wereDue.push([seq, message.notBefore])
    rows.push(
      seq,
      end.at,
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
  insertRows(sql, rows)
  // Whoever cancels one of these is late.
  for (const [seq, due] of wereDue) sql.run('UPDATE posthorn_message SET due = ? WHERE seq = ?', due, seq)
  if (touched.length > 0) work.after(() => hub.wake.topics(touched))
  return results
}

function insertRows(sql: Sql, values: readonly SQLInputValue[]): void {
  const one = sql.statement(insertOne)
  if (values.length === perMessage) {
    one.get(...values)
    return
  }
  let from = 0
  const many = sql.statement(insertMany)
  for (; from + atOnce * perMessage <= values.length; from += atOnce * perMessage)
    many.get(...values.slice(from, from + atOnce * perMessage))
  for (; from < values.length; from += perMessage) one.get(...values.slice(from, from + perMessage))
}

const moveDelayed = `INSERT INTO posthorn_message (seq, at, grp, due, ${messageColumns})
  SELECT ?, ?, grp, due, ${messageColumns} FROM posthorn_delayed WHERE no = ?`

/** Brings all that is due by now into the log, before somebody looks there: nobody else does while no group reads. */
export async function promoteAll(hub: Hub, now: number): Promise<void> {
  // It would wait for its own end.
  if (refuseInside(hub.path) !== undefined) return
  const due = (sql: Sql): boolean => sql.row('SELECT 1 FROM posthorn_delayed WHERE due <= ? LIMIT 1', now) !== undefined
  while (await hub.read(due)) await hub.writer.write((work) => promote(work, hub, now), { sync: false })
}

/** Moves some of what is due to the ends of the topics, oldest due first; whose topic it is does not matter. */
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
  work.ends?.forget()
  work.after(() => hub.wake.topics(ends.keys()))
}

/** Takes a copy of a message to one group out of the log; its place is not used again. */
export function dropCopies(sql: Sql, seqs: readonly number[]): void {
  for (const seq of seqs) {
    sql.run('DELETE FROM posthorn_message WHERE seq = ? AND grp IS NOT NULL', seq)
    sql.run('UPDATE posthorn_topic SET top = ?1 WHERE id = ?2 AND top < ?1', seq, Math.floor(seq / span))
  }
}
