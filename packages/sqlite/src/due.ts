import type { Sql } from './sql.ts'
import { span } from './topic-rows.ts'

/** What may be ready for a group, or is to be heard: that the group was removed. */
const readyFor = (group: string): string => `
  EXISTS (SELECT 1 FROM posthorn_delivery WHERE grp = ${group} AND state = 0 AND sort IS NOT NULL) OR
  EXISTS (
    SELECT 1 FROM posthorn_cursor AS c WHERE c.grp = ${group} AND
      EXISTS (SELECT 1 FROM posthorn_message WHERE seq > c.at AND seq < (c.topic + 1) * ${span})) OR
  NOT EXISTS (SELECT 1 FROM posthorn_group WHERE id = ${group})`
const timesFor = (group: string): string => `
  (SELECT min(sort) FROM posthorn_delivery WHERE grp = ${group} AND state = 3 AND sort IS NOT NULL),
  (SELECT min(until) FROM posthorn_claim WHERE grp = ${group})`
const firstDelayed = '(SELECT min(due) FROM posthorn_delayed)'

/** One statement for all: each by itself would take and free the read lock again, which costs more than what it reads. */
const ready = `SELECT ${readyFor('?1')}`
const times = `SELECT ${timesFor('?1')}, ${firstDelayed}`
const ofMany = `SELECT value, ${readyFor('value')}, ${timesFor('value')}, d.due
  FROM json_each(?1), (SELECT ${firstDelayed} AS due) AS d`

const earliest = (found: readonly unknown[]): number | undefined => {
  const some = found.filter((time): time is number => time !== null)
  return some.length === 0 ? undefined : Math.min(...some)
}

/** Whether there may be something for a group now, or the group is gone, and else when (epoch ms) to look again without being called. */
export function outlook(
  sql: Sql,
  group: number,
  now: number,
): { readonly now: boolean; readonly at: number | undefined } {
  if (sql.list(ready, group)?.[0] === 1) return { now: true, at: undefined }
  const at = earliest(sql.list(times, group) ?? [])
  return { now: at !== undefined && at <= now, at }
}

/** The same for many groups by one statement: which of them have something, and else from when on they may. */
export function outlooks(
  sql: Sql,
  groups: Iterable<number>,
): ReadonlyMap<number, { readonly ready: boolean; readonly at: number | undefined }> {
  const rows = sql.lists(ofMany, JSON.stringify([...groups]))
  return new Map(rows.map(([group, found, ...rest]) => [group as number, { ready: found === 1, at: earliest(rest) }]))
}
