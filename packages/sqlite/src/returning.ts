// How messages come back to a group: from a hand, from a lease that ran out, from a time that they waited for.
import type { Row, Sql } from './sql.ts'

const someInState = 'SELECT 1 FROM posthorn_delivery WHERE grp = ? AND lane = ? AND state = ? LIMIT 1'
// Left to itself SQLite takes the order from the primary key, and then reads all that the group has in front of this lane.
const firstBehind = `SELECT ord, due FROM posthorn_delivery INDEXED BY posthorn_delivery_lane
  WHERE grp = ? AND lane = ? AND state = 2 ORDER BY ord LIMIT 1`

/** The priority that `head` says. */
export function priorityOf(head: unknown): number {
  const found = typeof head === 'string' ? /"ph-priority":"(\d)"/.exec(head) : null
  return found === null ? 0 : Number(found[1])
}

/** Leases that ran out: their messages go back, of a lane all that is in hand. */
export function expire(sql: Sql, group: number, now: number): void {
  for (const claim of sql.rows('SELECT no, low, high FROM posthorn_claim WHERE grp = ? AND until <= ?', group, now)) {
    const no = claim['no'] as number
    const rows = sql.rows(
      'SELECT ord, lane, until FROM posthorn_delivery WHERE grp = ? AND ord BETWEEN ? AND ? AND claim = ? AND state = 1',
      group,
      claim['low'] as number,
      claim['high'] as number,
      no,
    )
    const late = (row: Row): boolean => (row['until'] as number) <= now
    const lanes = new Set(rows.filter((row) => row['lane'] !== null && late(row)).map((row) => row['lane'] as string))
    let left = 0
    let until = Number.MAX_SAFE_INTEGER
    for (const row of rows) {
      if (late(row) || lanes.has(row['lane'] as string))
        putBack(sql, group, row['ord'] as number, row['lane'] as string | null, 0, now)
      else {
        left++
        until = Math.min(until, row['until'] as number)
      }
    }
    if (left === 0) sql.run('DELETE FROM posthorn_claim WHERE grp = ? AND no = ?', group, no)
    else sql.run('UPDATE posthorn_claim SET remaining = ?, until = ? WHERE grp = ? AND no = ?', left, until, group, no)
    for (const lane of lanes) freeLane(sql, group, lane, now)
  }
}

/** What waited for its time and is due. */
export function mature(sql: Sql, group: number, now: number): void {
  for (const row of sql.rows(
    'SELECT ord, lane FROM posthorn_delivery INDEXED BY posthorn_delivery_next WHERE grp = ? AND state = 3 AND sort <= ? LIMIT 1000',
    group,
    now,
  )) {
    const sort = row['lane'] === null ? -priorityAt(sql, row['ord'] as number) : 0
    sql.run(
      'UPDATE posthorn_delivery SET state = 0, sort = ? WHERE grp = ? AND ord = ?',
      sort,
      group,
      row['ord'] as number,
    )
  }
}

/** Takes a message out of its hand. One of a lane then waits until `freeLane` has seen to it. */
export function putBack(sql: Sql, group: number, ord: number, lane: string | null, due: number, now: number): void {
  const state = lane !== null ? 2 : due > now ? 3 : 0
  const sort = lane !== null ? null : due > now ? due : -priorityAt(sql, ord)
  sql.run(
    'UPDATE posthorn_delivery SET state = ?, sort = ?, claim = NULL, until = NULL, due = ? WHERE grp = ? AND ord = ?',
    state,
    sort,
    due,
    group,
    ord,
  )
}

/** Lets the first of a lane be claimed, if none of the lane is in hand. True where somebody may want to know. */
export function freeLane(sql: Sql, group: number, lane: string, now: number): boolean {
  if (sql.row(someInState, group, lane, 1) !== undefined) return false
  for (const state of [0, 3]) if (sql.row(someInState, group, lane, state) !== undefined) return true
  const first = sql.row(firstBehind, group, lane)
  if (first === undefined) return false
  const due = first['due'] as number
  sql.run(
    'UPDATE posthorn_delivery SET state = ?, sort = ? WHERE grp = ? AND ord = ?',
    due > now ? 3 : 0,
    due > now ? due : 0,
    group,
    first['ord'] as number,
  )
  return true
}

function priorityAt(sql: Sql, ord: number): number {
  return priorityOf(sql.row('SELECT head FROM posthorn_message WHERE seq = ?', ord)?.['head'])
}
