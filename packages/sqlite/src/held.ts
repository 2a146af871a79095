import type { ClaimedRow, Clock, Held, HeldState } from '@posthorn/core/driver'
import { dispatchFrom, messageColumns, valuesOf } from './convert.ts'
import type { Hub } from './hub.ts'
import type { Row, Sql } from './sql.ts'
import { openTransaction } from './transaction.ts'
import type { Work } from './writer.ts'

const insertRow = `INSERT INTO posthorn_held (ns, ref, state, lane, due, tries, topic, ${messageColumns})
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ns, ref) DO NOTHING`
const columns = `no, ref, state, lane, due, tries, fence, topic, ${messageColumns}`
/** Due, leased to nobody, and of a lane the first, with none of the lane in a relay's hands. */
const claimable = `SELECT ${columns} FROM posthorn_held h
  WHERE ns = ?1 AND state = ?2 AND due <= ?3 AND until <= ?3 AND (lane IS NULL OR (
    NOT EXISTS (SELECT 1 FROM posthorn_held e WHERE e.ns = ?1 AND e.lane = h.lane AND e.state = ?2 AND e.no < h.no)
    AND NOT EXISTS (SELECT 1 FROM posthorn_held e WHERE e.ns = ?1 AND e.lane = h.lane AND e.until > ?3)))
  ORDER BY due, no LIMIT ?4`

/** Messages that wait, in the file. */
export function sqliteHeld(hub: Hub, namespace: string, clock: Clock): Held {
  const writing = <R>(tx: Parameters<Held['insert']>[1], work: (work: Work) => R): Promise<R> =>
    tx === undefined ? hub.writer.write(work) : openTransaction(tx, hub.path).work().then(work)
  const told = (work: Work): void => work.after(() => hub.wake.held())
  return {
    insert: (rows, tx) =>
      writing(tx, (work) => {
        for (const { ref, state, lane, dueAt, tries, message } of rows)
          work.sql.run(
            insertRow,
            namespace,
            ref,
            state,
            lane ?? null,
            Math.ceil(dueAt),
            tries,
            message.topic,
            ...valuesOf(message, true),
          )
        told(work)
      }),
    claim: async ({ state, now, max, leaseMs }) => {
      // Most looks find nothing, and a look takes no lock.
      const next = await hub.read((sql) => sql.row(claimable, namespace, state, now, 1))
      if (next === undefined) return []
      return hub.writer.write(({ sql }) => {
        const rows = sql.rows(claimable, namespace, state, now, max)
        for (const { no } of rows)
          sql.run('UPDATE posthorn_held SET fence = fence + 1, until = ? WHERE no = ?', now + leaseMs, no as number)
        return rows.map((row) => ({ ...rowFrom(row), fence: (row['fence'] as number) + 1 }))
      })
    },
    change: (ref, expect, to, tx) =>
      writing(tx, (work) => {
        const { sql } = work
        const guard = expect.fence === undefined ? 'until <= ?4 AND ?5 IS NULL' : 'fence = ?5 AND ?4 IS NOT NULL'
        const where = `WHERE ns = ?1 AND ref = ?2 AND state = ?3 AND ${guard}`
        const values = [namespace, ref, expect.state, clock.now(), expect.fence ?? null] as const
        const count =
          to === undefined
            ? sql.run(`DELETE FROM posthorn_held ${where}`, ...values)
            : sql.run(
                `UPDATE posthorn_held SET state = ?6, due = ?7, tries = coalesce(?8, tries), until = 0 ${where}`,
                ...values,
                to.state,
                Math.ceil(to.dueAt),
                to.tries ?? null,
              )
        told(work)
        return count > 0
      }),
    async get(ref, tx) {
      const read = (sql: Sql): Row | undefined =>
        sql.row(`SELECT ${columns} FROM posthorn_held WHERE ns = ? AND ref = ?`, namespace, ref)
      const row = await (tx === undefined ? hub.read(read) : writing(tx, ({ sql }) => read(sql)))
      return row === undefined ? undefined : rowFrom(row)
    },
    range: ({ state, lane, after, max }) =>
      hub.read((sql) => {
        const from =
          after === undefined
            ? 0
            : ((sql.row('SELECT no FROM posthorn_held WHERE ns = ? AND ref = ?', namespace, after)?.['no'] as number) ??
              0)
        const rows =
          lane === undefined
            ? sql.rows(
                `SELECT ${columns} FROM posthorn_held WHERE ns = ? AND state = ? AND no > ? ORDER BY no LIMIT ?`,
                namespace,
                state,
                from,
                max,
              )
            : sql.rows(
                `SELECT ${columns} FROM posthorn_held WHERE ns = ? AND lane = ? AND state = ? AND no > ? ORDER BY no LIMIT ?`,
                namespace,
                lane,
                state,
                from,
                max,
              )
        return rows.map(rowFrom)
      }),
    count: (state, lane) =>
      hub.read((sql) =>
        Number(
          (lane === undefined
            ? sql.row('SELECT count(*) AS n FROM posthorn_held WHERE ns = ? AND state = ?', namespace, state)
            : sql.row(
                'SELECT count(*) AS n FROM posthorn_held WHERE ns = ? AND lane = ? AND state = ?',
                namespace,
                lane,
                state,
              ))?.['n'],
        ),
      ),
    nextDue: (state) =>
      hub.read((sql) => {
        const row = sql.row(
          `SELECT min(CASE WHEN until > due THEN until ELSE due END) AS at FROM posthorn_held WHERE ns = ? AND state = ?`,
          namespace,
          state,
        )
        return (row?.['at'] as number | null | undefined) ?? undefined
      }),
    watch: (call) => hub.wake.watch(call),
  }
}

function rowFrom(row: Row): ClaimedRow {
  return {
    ref: row['ref'] as string,
    state: row['state'] as HeldState,
    message: dispatchFrom(row, row['topic'] as string),
    lane: (row['lane'] as string | null) ?? undefined,
    dueAt: row['due'] as number,
    tries: row['tries'] as number,
    fence: row['fence'] as number,
  }
}
