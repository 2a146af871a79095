import { at, Delivery, deliveryColumns, Lease, type MessageRow, type Progress } from './convert.ts'
import type { Hub } from './hub.ts'
import { promote } from './log.ts'
import { expire, mature, priorityOf } from './returning.ts'
import type { Row, Sql } from './sql.ts'
import { span } from './topic-rows.ts'
import { everything, type Group } from './topology.ts'
import type { Work } from './writer.ts'

/** What a member asks for. */
export interface ClaimWish {
  readonly group: Group
  /** How many it has room for. */
  readonly room: number
  /** How many of one lane: a hot key must not fill a whole window. */
  readonly laneRoom: number
  readonly now: number
  readonly until: number
  readonly topicName: (sql: Sql, topic: number) => string
}

/** What a claim took, and under which epoch of the group; `gone` where nobody knows the group any more. */
export interface Claimed {
  readonly deliveries: readonly Delivery[]
  readonly epoch: number
  readonly gone: boolean
}

/** Most messages that one claim looks at, so that a long row of filtered ones does not hold the event loop. */
const mostScanned = 1_000
/** Bytes of bodies after which a claim looks at no more, for the same reason; what it has by then may be more by one page. */
const mostBytes = 4 * 2 ** 20
/** Rows by which a claim learns how large bodies are. */
const firstPage = 16

const ofOne = 'SELECT topic, at FROM posthorn_cursor WHERE grp = ?'
/** A pattern may have thousands of topics, most of which have nothing new. */
const newsOfMany = `SELECT topic, at FROM posthorn_cursor AS c
  WHERE grp = ? AND EXISTS (SELECT 1 FROM posthorn_message WHERE seq > c.at AND seq < (c.topic + 1) * ${span})`
const readLog = `SELECT ${deliveryColumns} FROM posthorn_message WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?`
/** For who lists before he takes: no bodies. */
const readHeads = `SELECT seq, grp, id, key, tag, NULL, type, sent, head FROM posthorn_message WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?`
const readOne = `SELECT ${deliveryColumns} FROM posthorn_message WHERE seq = ?`
const takeRow =
  'UPDATE posthorn_delivery SET state = 1, sort = NULL, claim = ?, until = ?, starts = starts + 1 WHERE grp = ? AND ord = ?'
const insertTaken =
  'INSERT INTO posthorn_delivery (grp, ord, state, claim, until, lane, due, starts) VALUES (?, ?, 1, ?, ?, ?, 0, 1)'
const insertRange = `INSERT INTO posthorn_delivery (grp, ord, state, claim, until, due, starts)
  SELECT ?, seq, 1, ?, ?, 0, 1 FROM posthorn_message WHERE seq > ? AND seq <= ?`
const insertLater = 'INSERT INTO posthorn_delivery (grp, ord, state, sort, lane, due) VALUES (?, ?, ?, ?, ?, 0)'
const someOfLane = 'SELECT 1 FROM posthorn_delivery WHERE grp = ? AND lane = ? LIMIT 1'
// Its index by name: where an application ran ANALYZE, SQLite may read and sort all that the group has instead.
const readyRows = `SELECT ord, lane, starts, failures, history, lone FROM posthorn_delivery INDEXED BY posthorn_delivery_next
  WHERE grp = ? AND state = 0 AND sort IS NOT NULL ORDER BY sort, ord LIMIT ?`
const followers = `SELECT ord, lane, starts, failures, history, lone, due FROM posthorn_delivery
  WHERE grp = ? AND lane = ? AND state = 2 AND ord > ? ORDER BY ord LIMIT ?`

/** Takes what may go to this member now: what came back first, then from the log. Counts the start of each. */
export function claim(work: Work, hub: Hub, wish: ClaimWish): Claimed {
  const { sql } = work
  const { group, now } = wish
  const row = sql.row('SELECT fence, epoch FROM posthorn_group WHERE id = ?', group.id)
  if (row === undefined) return { deliveries: [], epoch: -1, gone: true }
  promote(work, hub, now)
  expire(sql, group.id, now)
  mature(sql, group.id, now)
  const hand = handOf(sql, wish, (row['fence'] as number) + 1)
  const prioritized = hasPriority(sql, group.id)
  if (prioritized) takeIn(sql, wish, hand, false)
  takeReady(sql, wish, hand)
  if (!prioritized) takeIn(sql, wish, hand, true)
  hand.close()
  return { deliveries: hand.taken, epoch: row['epoch'] as number, gone: false }
}

interface Hand {
  readonly no: number
  readonly taken: Delivery[]
  /** Bytes of the bodies that were read for it. */
  bytes: number
  /** How many of each lane are in this hand. */
  readonly lanes: Map<string, number>
  take(row: MessageRow, lane: string | undefined, progress: Progress): void
  close(): void
}

function handOf(sql: Sql, { group, until, topicName }: ClaimWish, no: number): Hand {
  const taken: Delivery[] = []
  const lease = new Lease(no)
  const lanes = new Map<string, number>()
  let low = Number.POSITIVE_INFINITY
  let high = 0
  return {
    no,
    taken,
    bytes: 0,
    lanes,
    take(row, lane, progress) {
      const seq = row[at.seq] as number
      const delivery = new Delivery(row, topicName(sql, Math.floor(seq / span)), seq % span, lease, lane, progress)
      delivery.until = until
      taken.push(delivery)
      if (seq < low) low = seq
      if (seq > high) high = seq
      if (lane !== undefined) lanes.set(lane, (lanes.get(lane) ?? 0) + 1)
    },
    close() {
      if (taken.length === 0) return
      sql.run('UPDATE posthorn_group SET fence = ? WHERE id = ?', no, group.id)
      sql.run('INSERT INTO posthorn_claim VALUES (?, ?, ?, ?, ?, ?)', group.id, no, until, low, high, taken.length)
    },
  }
}

/** Rows that came back, or wait: each first of a lane with those that follow it. */
function takeReady(sql: Sql, { group, room, laneRoom, now, until }: ClaimWish, hand: Hand): void {
  const take = (row: Row): void => {
    const [message] = sql.lists(readOne, row['ord'] as number)
    if (message === undefined) {
      // An operator took the message out of the log.
      sql.run('DELETE FROM posthorn_delivery WHERE grp = ? AND ord = ?', group.id, row['ord'] as number)
      return
    }
    hand.bytes += bytesOf(message)
    sql.run(takeRow, hand.no, until, group.id, row['ord'] as number)
    hand.take(message, (row['lane'] as string | null) ?? undefined, {
      starts: (row['starts'] as number) + 1,
      failures: row['failures'] as number | null,
      history: row['history'] as string | null,
      lone: row['lone'] as number | null,
    })
  }
  for (const first of sql.rows(readyRows, group.id, room)) {
    if (hand.taken.length >= room || hand.bytes > mostBytes) return
    take(first)
    if (first['lane'] === null) continue
    const most = Math.min(laneRoom - 1, room - hand.taken.length)
    if (most <= 0) continue
    for (const next of sql.rows(followers, group.id, first['lane'] as string, first['ord'] as number, most)) {
      if ((next['due'] as number) > now) {
        // Nothing of the log may pass it.
        hand.lanes.set(first['lane'] as string, Number.NEGATIVE_INFINITY)
        break
      }
      if (hand.bytes > mostBytes) {
        hand.lanes.set(first['lane'] as string, Number.NEGATIVE_INFINITY)
        break
      }
      take(next)
    }
  }
}

/** Reads on in the log. With `direct` what is free goes into the hand; without (priorities) all is listed first. */
function takeIn(sql: Sql, wish: ClaimWish, hand: Hand, direct: boolean): void {
  const { group, room, topicName } = wish
  let scanned = 0
  for (const cursor of inTurn(sql.rows(group.topic === undefined ? newsOfMany : ofOne, group.id), hand.no)) {
    const topic = cursor['topic'] as number
    const from = cursor['at'] as number
    let seq = from
    while (scanned < mostScanned && hand.bytes <= mostBytes && (!direct || hand.taken.length < room)) {
      const fitting = scanned === 0 ? firstPage : Math.ceil((mostBytes * scanned) / Math.max(hand.bytes, 1))
      const most = direct ? Math.min(room - hand.taken.length, mostScanned - scanned, fitting) : mostScanned - scanned
      const rows = sql.lists(direct ? readLog : readHeads, seq, (topic + 1) * span, most)
      const last = rows.at(-1)
      if (last === undefined) break
      if (direct && group.order === 'none' && group.matches === everything && rows.every((row) => row[at.grp] === null))
        takeAll(sql, wish, hand, rows, seq)
      else
        for (const row of rows)
          if (row[at.grp] === null || row[at.grp] === group.name)
            admit(sql, wish, hand, row, topicName(sql, topic), direct)
      seq = last[at.seq] as number
      scanned += rows.length
      for (const row of rows) hand.bytes += bytesOf(row)
      if (rows.length < most) break
    }
    if (seq !== from) sql.run('UPDATE posthorn_cursor SET at = ? WHERE grp = ? AND topic = ?', seq, group.id, topic)
  }
}

const bytesOf = (row: MessageRow): number => (row[at.body] as Uint8Array | null)?.byteLength ?? 0

/** Each claim begins with another topic of a pattern: one that is never empty would keep the others waiting. */
function inTurn(cursors: readonly Row[], turn: number): readonly Row[] {
  if (cursors.length < 2) return cursors
  const first = turn % cursors.length
  return [...cursors.slice(first), ...cursors.slice(0, first)]
}

/** Where every message may go to anybody: one statement for all. */
function takeAll(sql: Sql, { group, until }: ClaimWish, hand: Hand, rows: readonly MessageRow[], after: number): void {
  sql.run(insertRange, group.id, hand.no, until, after, rows.at(-1)?.[at.seq] as number)
  for (const row of rows) hand.take(row, undefined, fresh)
}

const fresh: Progress = { starts: 1, failures: null, history: null, lone: null }

function admit(
  sql: Sql,
  { group, laneRoom, until }: ClaimWish,
  hand: Hand,
  row: MessageRow,
  topic: string,
  direct: boolean,
): void {
  const seq = row[at.seq] as number
  if (!passes(group, row, topic)) return
  const lane = laneOf(group, seq, row[at.key] as string | null)
  if (direct) {
    const mine = lane === undefined ? 0 : hand.lanes.get(lane)
    // Of a lane that is in this hand already the next may follow, unless some of it had to stay behind.
    const free =
      lane === undefined ||
      (mine === undefined ? sql.row(someOfLane, group.id, lane) === undefined : mine > 0 && mine < laneRoom)
    if (free) {
      sql.run(insertTaken, group.id, seq, hand.no, until, lane ?? null)
      hand.take(row, lane, fresh)
      return
    }
    if (lane !== undefined) hand.lanes.set(lane, Number.NEGATIVE_INFINITY)
    sql.run(insertLater, group.id, seq, 2, null, lane ?? null)
    return
  }
  const behind = lane !== undefined && sql.row(someOfLane, group.id, lane) !== undefined
  const sort = behind ? null : lane === undefined ? -priorityOf(row[at.head]) : 0
  sql.run(insertLater, group.id, seq, behind ? 2 : 0, sort, lane ?? null)
}

function passes(group: Group, row: MessageRow, topic: string): boolean {
  // A filter sees no body and no progress; most groups have none.
  return group.matches === everything || group.matches(new Delivery(row, topic, 0))
}

/** What must stay in order: of a pattern the same key in two topics is two keys. */
function laneOf({ order }: Group, seq: number, key: string | null): string | undefined {
  if (order === 'none' || (order === 'key' && key === null)) return undefined
  const topic = Math.floor(seq / span)
  return order === 'topic' ? `${topic}` : `${topic} ${key}`
}

function hasPriority(sql: Sql, group: number): boolean {
  return (
    sql.row(
      'SELECT 1 FROM posthorn_cursor JOIN posthorn_topic ON id = topic WHERE grp = ? AND priority = 1 LIMIT 1',
      group,
    ) !== undefined
  )
}
