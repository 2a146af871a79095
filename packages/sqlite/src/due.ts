import type { Sql } from './sql.ts'
import { span } from './topic-rows.ts'

/** Whether there may be something for a group now, and else when (epoch ms) to look again without being called. */
export function outlook(
  sql: Sql,
  group: number,
  now: number,
): { readonly now: boolean; readonly at: number | undefined } {
  if (
    sql.row('SELECT 1 FROM posthorn_delivery WHERE grp = ? AND state = 0 AND sort IS NOT NULL LIMIT 1', group) !==
    undefined
  )
    return { now: true, at: undefined }
  for (const { topic, at } of sql.rows('SELECT topic, at FROM posthorn_cursor WHERE grp = ?', group)) {
    const end = ((topic as number) + 1) * span
    if (sql.row('SELECT 1 FROM posthorn_message WHERE seq > ? AND seq < ? LIMIT 1', at as number, end) !== undefined)
      return { now: true, at: undefined }
  }
  const times = [
    sql.row('SELECT min(sort) AS at FROM posthorn_delivery WHERE grp = ? AND state = 3 AND sort IS NOT NULL', group),
    sql.row('SELECT min(due) AS at FROM posthorn_delayed'),
    sql.row('SELECT min(until) AS at FROM posthorn_claim WHERE grp = ?', group),
  ].flatMap((row) => (row?.['at'] as number | null | undefined) ?? [])
  const at = times.length === 0 ? undefined : Math.min(...times)
  return { now: at !== undefined && at <= now, at }
}
