import type { ClaimedRow, Clock, Held, HeldRow, HeldState, TopicSpec } from '@posthorn/core/driver'
import { dispatchFrom, messageColumns, valuesOf } from './convert.ts'
import type { Hub } from './hub.ts'
import type { Row, Sql } from './sql.ts'
import { openTransaction } from './transaction.ts'
import type { Work } from './writer.ts'

const insertRow = `INSERT INTO posthorn_held (ns, ref, state, lane, due, tries, topic, spec, ${messageColumns}, leads)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
    ?4 IS NULL OR NOT EXISTS (SELECT 1 FROM posthorn_held WHERE ns = ?1 AND lane = ?4 AND state = ?3))
  ON CONFLICT (ns, ref) DO NOTHING`
const columns = `no, ref, state, lane, due, tries, fence, topic, spec, ${messageColumns}`
/** Due, leased to nobody, and of a lane the first, with none of the lane in a relay's hands. */
const claimable = `SELECT ${columns} FROM posthorn_held h
  WHERE ns = ?1 AND state = ?2 AND leads = 1 AND due <= ?3 AND until <= ?3 AND (lane IS NULL OR
    NOT EXISTS (SELECT 1 FROM posthorn_held e WHERE e.ns = ?1 AND e.lane = h.lane AND e.until > ?3 AND e.until > 0))
  ORDER BY due, no LIMIT ?4`
const firstFree =
  'SELECT due FROM posthorn_held WHERE ns = ? AND state = ? AND leads = 1 AND until <= due ORDER BY due LIMIT 1'
const firstLeased =
  'SELECT until FROM posthorn_held WHERE ns = ? AND state = ? AND until > 0 AND until > due ORDER BY until LIMIT 1'
const ofState = `SELECT ${columns} FROM posthorn_held NOT INDEXED WHERE ns = ? AND state = ? AND no > ? ORDER BY no LIMIT ?`
const ofLane = `SELECT ${columns} FROM posthorn_held WHERE ns = ? AND lane = ? AND state = ? AND no > ? ORDER BY no LIMIT ?`

const countState = 'SELECT count(*) AS n FROM posthorn_held WHERE ns = ? AND state = ?'
const countLane = 'SELECT count(*) AS n FROM posthorn_held WHERE ns = ? AND lane = ? AND state = ?'

/** How many ends of pages are remembered. */
const mostEnds = 64

/** Messages that wait, in the file. */
export function sqliteHeld(hub: Hub, namespace: string, clock: Clock): Held {
  const writing = <R>(tx: Parameters<Held['insert']>[1], work: (work: Work) => R): Promise<R> =>
    tx === undefined ? hub.writer.write(work) : openTransaction(tx, hub.path).work().then(work)
  const told = (work: Work): void => work.after(() => hub.wake.held())
  /** Where pages ended: the next goes on there, though the row may be gone by then. */
  const ends = new Map<string, number>()
  return {
    insert: (rows, tx) =>
      writing(tx, (work) => {
        for (const row of rows) insert(work.sql, namespace, row)
        told(work)
      }),
    async claim(query) {
      // Most looks find nothing, and a look takes no lock.
      const next = await hub.read((sql) => sql.row(claimable, namespace, query.state, query.now, 1))
      return next === undefined ? [] : hub.writer.write(({ sql }) => claim(sql, namespace, query))
    },
    change: (ref, expect, to, tx) =>
      writing(tx, (work) => {
        const changed = change(work.sql, namespace, ref, expect, to, clock.now())
        told(work)
        return changed
      }),
    async get(ref, tx) {
      const read = (sql: Sql): Row | undefined =>
        sql.row(`SELECT ${columns} FROM posthorn_held WHERE ns = ? AND ref = ?`, namespace, ref)
      const row = await (tx === undefined ? hub.read(read) : writing(tx, ({ sql }) => read(sql)))
      return row === undefined ? undefined : rowFrom(row)
    },
    range: ({ state, lane, after, max }) =>
      hub.read((sql) => {
        const from = after === undefined ? 0 : (numberOf(sql, namespace, after) ?? ends.get(after) ?? 0)
        const rows =
          lane === undefined
            ? sql.rows(ofState, namespace, state, from, max)
            : sql.rows(ofLane, namespace, lane, state, from, max)
        const last = rows.at(-1)
        if (last !== undefined) {
          ends.set(last['ref'] as string, last['no'] as number)
          if (ends.size > mostEnds) ends.delete(ends.keys().next().value as string)
        }
        return rows.map(rowFrom)
      }),
    count: (state, lane) =>
      hub.read((sql) => {
        const row =
          lane === undefined ? sql.row(countState, namespace, state) : sql.row(countLane, namespace, lane, state)
        return row?.['n'] as number
      }),
    nextDue: (state) =>
      hub.read((sql) => {
        const free = sql.row(firstFree, namespace, state)?.['due'] as number | undefined
        const leased = sql.row(firstLeased, namespace, state)?.['until'] as number | undefined
        return free === undefined || leased === undefined ? (free ?? leased) : Math.min(free, leased)
      }),
    watch: (call) => hub.wake.watch(call),
  }
}

function insert(sql: Sql, ns: string, { ref, state, lane, dueAt, tries, message, topic }: HeldRow): void {
  sql.run(
    insertRow,
    ns,
    ref,
    state,
    lane ?? null,
    Math.ceil(dueAt),
    tries,
    message.topic,
    specColumn(topic),
    ...valuesOf(message, true),
  )
}

function claim(sql: Sql, ns: string, { state, now, max, leaseMs }: Parameters<Held['claim']>[0]): ClaimedRow[] {
  const rows = sql.rows(claimable, ns, state, now, max)
  for (const { no } of rows)
    sql.run('UPDATE posthorn_held SET fence = fence + 1, until = ? WHERE no = ?', now + leaseMs, no as number)
  return rows.map((row) => ({ ...rowFrom(row), fence: (row['fence'] as number) + 1 }))
}

function numberOf(sql: Sql, ns: string, ref: string): number | undefined {
  return sql.row('SELECT no FROM posthorn_held WHERE ns = ? AND ref = ?', ns, ref)?.['no'] as number | undefined
}

function change(
  sql: Sql,
  ns: string,
  ref: string,
  expect: Parameters<Held['change']>[1],
  to: Parameters<Held['change']>[2],
  now: number,
): boolean {
  const row = sql.row('SELECT no, state, lane, fence, until FROM posthorn_held WHERE ns = ? AND ref = ?', ns, ref)
  if (row === undefined || row['state'] !== expect.state) return false
  if (expect.fence === undefined ? (row['until'] as number) > now : row['fence'] !== expect.fence) return false
  const no = row['no'] as number
  if (to === undefined) sql.run('DELETE FROM posthorn_held WHERE no = ?', no)
  else
    sql.run(
      'UPDATE posthorn_held SET state = ?, due = ?, tries = coalesce(?, tries), until = 0 WHERE no = ?',
      to.state,
      Math.ceil(to.dueAt),
      to.tries ?? null,
      no,
    )
  if (row['lane'] !== null && to?.state !== expect.state) {
    const lane = row['lane'] as string
    lead(sql, ns, lane, expect.state, no)
    if (to !== undefined) lead(sql, ns, lane, to.state, no)
  }
  return true
}

/** Sees to who leads a lane of a state after `no` has left it or come to it: that one, or the one behind it. */
function lead(sql: Sql, ns: string, lane: string, state: HeldState, no: number): void {
  const first = sql.row(
    'SELECT no FROM posthorn_held WHERE ns = ? AND lane = ? AND state = ? ORDER BY no LIMIT 1',
    ns,
    lane,
    state,
  )?.['no'] as number | undefined
  if (first !== undefined) sql.run('UPDATE posthorn_held SET leads = 1 WHERE no = ? AND leads = 0', first)
  // Who came and is not the first follows; where it is the first, whoever was so until now follows.
  const behind = sql.row(
    'SELECT no FROM posthorn_held WHERE ns = ? AND lane = ? AND state = ? AND no > ? ORDER BY no LIMIT 1',
    ns,
    lane,
    state,
    first ?? no,
  )?.['no'] as number | undefined
  for (const each of new Set([no, behind]))
    if (each !== undefined && each !== (first ?? no))
      sql.run('UPDATE posthorn_held SET leads = 0 WHERE no = ? AND leads = 1 AND state = ?', each, state)
}

/** A process declares few topics and puts away many messages. */
const specs = new WeakMap<TopicSpec, string>()

function specColumn(topic: TopicSpec | undefined): string | null {
  if (topic === undefined) return null
  const known = specs.get(topic)
  if (known !== undefined) return known
  const made = JSON.stringify(topic)
  specs.set(topic, made)
  return made
}

function specFrom(spec: unknown): TopicSpec | undefined {
  if (spec === null) return undefined
  const found = JSON.parse(spec as string) as TopicSpec
  return { ...found, retentionMs: found.retentionMs, priority: found.priority, on: found.on }
}

function rowFrom(row: Row): ClaimedRow {
  return {
    ref: row['ref'] as string,
    state: row['state'] as HeldState,
    message: dispatchFrom(row, row['topic'] as string),
    topic: specFrom(row['spec']),
    lane: (row['lane'] as string | null) ?? undefined,
    dueAt: row['due'] as number,
    tries: row['tries'] as number,
    fence: row['fence'] as number,
  }
}
