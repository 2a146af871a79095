import type { Sql } from './sql.ts'
import { span } from './topic-rows.ts'

/**
 * One statement for all that may be ready, or is to be heard: that the group was removed. Each by itself would take and free the read lock again,
 * which costs more than what it reads.
 */
const ready = `SELECT
  EXISTS (SELECT 1 FROM posthorn_delivery WHERE grp = ?1 AND state = 0 AND sort IS NOT NULL) OR
  EXISTS (
    SELECT 1 FROM posthorn_cursor AS c WHERE c.grp = ?1 AND
      EXISTS (SELECT 1 FROM posthorn_message WHERE seq > c.at AND seq < (c.topic + 1) * ${span})) OR
  NOT EXISTS (SELECT 1 FROM posthorn_group WHERE id = ?1)`
const times = `SELECT
  (SELECT min(sort) FROM posthorn_delivery WHERE grp = ?1 AND state = 3 AND sort IS NOT NULL),
  (SELECT min(due) FROM posthorn_delayed),
  (SELECT min(until) FROM posthorn_claim WHERE grp = ?1)`

/** Whether there may be something for a group now, or the group is gone, and else when (epoch ms) to look again without being called. */
export function outlook(
  sql: Sql,
  group: number,
  now: number,
): { readonly now: boolean; readonly at: number | undefined } {
  if (sql.list(ready, group)?.[0] === 1) return { now: true, at: undefined }
  const found = (sql.list(times, group) ?? []).filter((time): time is number => time !== null)
  const at = found.length === 0 ? undefined : Math.min(...found)
  return { now: at !== undefined && at <= now, at }
}
