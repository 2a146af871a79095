import type { Clock } from '@posthorn/core/driver'
import type { Hub } from './hub.ts'
import { aliveMs } from './source.ts'
import type { Sql } from './sql.ts'
import { span } from './topic-rows.ts'
import { dropDeadGroups } from './topology.ts'
import type { Work } from './writer.ts'

/** How often a process looks after the file. */
const everyMs = 5_000
/** Rows that one transaction of it takes: so many that it keeps up with all that can be sent, so few that the event loop does not notice. */
const most = 2_000

/** Keeps the file small and free of what died: trims settled messages that retention no longer wants, forgets expired names. */
export interface Upkeep {
  /** This group lives only as long as this process says so. */
  keepAlive(group: number): () => void
  stop(): void
}

/** Looks after a file for one connection, until it is stopped. */
export function upkeepOf(hub: Hub, clock: Clock, retentionMs: number): Upkeep {
  const alive = new Set<number>()
  let over = false
  let beats = 0
  let cancel = (): void => {}
  const arm = (ms: number): void => {
    if (!over) cancel = clock.after(ms, () => void round().catch(() => {}), { unref: true })
  }
  const round = async (): Promise<void> => {
    let more = false
    try {
      const now = clock.now()
      if (alive.size > 0 && ++beats % 6 === 0)
        await hub.writer.write(
          ({ sql }) => {
            for (const group of alive) sql.run('UPDATE posthorn_group SET alive = ? WHERE id = ?', now + aliveMs, group)
          },
          { sync: false },
        )
      if (await hub.read((sql) => isWork(sql, now, retentionMs)))
        more = await hub.writer.write((work) => tidy(work, now, retentionMs), { sync: false })
    } finally {
      // Others of this machine do the same; who comes later finds less.
      arm(more ? 20 : everyMs * (0.75 + Math.random() / 2))
    }
  }
  arm(everyMs * Math.random())
  return {
    keepAlive(group) {
      alive.add(group)
      return () => void alive.delete(group)
    },
    stop() {
      over = true
      cancel()
    },
  }
}

interface Trim {
  readonly topic: number
  /** The `seq` up to which everything goes. */
  readonly last: number
}

function isWork(sql: Sql, now: number, retentionMs: number): boolean {
  return (
    trims(sql, now, retentionMs).length > 0 ||
    sql.row('SELECT 1 FROM posthorn_name WHERE until <= ? LIMIT 1', now) !== undefined ||
    sql.row('SELECT 1 FROM posthorn_group WHERE alive < ? LIMIT 1', now) !== undefined ||
    freePages(sql) > 256
  )
}

/** One round; true where there is more to do. */
export function tidy({ sql }: Work, now: number, retentionMs: number): boolean {
  let more = dropDeadGroups(sql, now)
  for (const { topic, last } of trims(sql, now, retentionMs)) {
    const gone = sql.run('DELETE FROM posthorn_message WHERE seq > ? AND seq <= ?', topic * span, last)
    sql.run('UPDATE posthorn_topic SET freed = max(freed, ?1), top = max(top, ?1) WHERE id = ?2', last, topic)
    more ||= gone === most
  }
  const names = sql.run(
    'DELETE FROM posthorn_name WHERE (ns, space, name) IN (SELECT ns, space, name FROM posthorn_name WHERE until <= ? LIMIT ?)',
    now,
    most,
  )
  if (freePages(sql) > 256) sql.database.exec('PRAGMA incremental_vacuum(256)')
  return more || names === most
}

/**
 * Topics whose first message is older than their retention, and up to where every group that reads them has settled; null where nobody reads. One
 * statement for all: by itself each of thousands would cost several. Where nobody reads yet and nothing is said of retention, everything stays for
 * the first who does.
 */
const old = `SELECT id, ?1 - iif(reply = 1, 0, coalesce(retention, ?2)) AS before,
    (SELECT min(min(at, coalesce((SELECT min(ord) FROM posthorn_delivery WHERE grp = c.grp AND ord > c.topic * ${span}
      AND ord < (c.topic + 1) * ${span}) - 1, at))) FROM posthorn_cursor AS c WHERE c.topic = t.id) AS settled
  FROM posthorn_topic AS t
  WHERE (SELECT at FROM posthorn_message WHERE seq > t.id * ${span} AND seq < (t.id + 1) * ${span} ORDER BY seq LIMIT 1) < before
    AND iif(settled IS NULL, retention IS NOT NULL,
      EXISTS (SELECT 1 FROM posthorn_message WHERE seq > t.id * ${span} AND seq <= settled))`

/** What may go, topic by topic: older than its retention, and settled by every group that reads it. */
function trims(sql: Sql, now: number, retentionMs: number): Trim[] {
  return sql.rows(old, now, retentionMs).flatMap((row): Trim[] => {
    const topic = row['id'] as number
    const base = topic * span
    const settled = (row['settled'] as number | null) ?? base + span - 1
    const last = sql.row(lastOld, base, settled, most, row['before'] as number)?.['last'] as number | null
    return last === null ? [] : [{ topic, last }]
  })
}

/** The last of the first few rows that are old enough: times of a topic never fall, and what is left is seen the next time. */
const lastOld = `SELECT max(seq) AS last FROM (
  SELECT seq, at FROM posthorn_message WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?) WHERE at < ?`

function freePages(sql: Sql): number {
  return Number(sql.row('PRAGMA freelist_count')?.['freelist_count'])
}
