import type { Claim, Claims, Clock } from '@posthorn/core/driver'
import type { Hub } from './hub.ts'
import type { Sql } from './sql.ts'
import { mustBeOutside, openTransaction } from './transaction.ts'

const find = 'SELECT token, owner, until, done, result FROM posthorn_name WHERE ns = ? AND space = ? AND name = ?'
const put = `INSERT INTO posthorn_name (ns, space, name, token, owner, until, done, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (ns, space, name) DO UPDATE
  SET token = excluded.token, owner = excluded.owner, until = excluded.until, done = excluded.done, result = excluded.result`
/** An inbox row has no holder, so it needs no token. One statement: it is there for every message. */
const putOnce = `INSERT INTO posthorn_name (ns, space, name, token, owner, until, done, result) VALUES (?1, ?2, ?3, 0, NULL, ?4, 1, NULL)
  ON CONFLICT (ns, space, name) DO UPDATE SET token = 0, owner = NULL, until = ?4, done = 1, result = NULL WHERE until <= ?5`
const mine = 'WHERE ns = ?1 AND space = ?2 AND name = ?3 AND token = ?4 AND until > ?5 AND done = 0'

/** Names taken, in the file. */
export function sqliteClaims(hub: Hub, ns: string, clock: Clock): Claims {
  return {
    async once(space, name, keepMs, tx) {
      const { sql } = await openTransaction(tx, hub.path).work()
      const now = clock.now()
      return sql.run(putOnce, ns, space, name, now + keepMs, now) > 0
    },
    acquire: async (space, name, owner, ttlMs) => {
      mustBeOutside(hub.path, 'a lock or a claim')
      return hub.writer.write(({ sql }): Claim => {
        const now = clock.now()
        const row = sql.row(find, ns, space, name)
        if (row !== undefined && (row['until'] as number) > now)
          return row['done'] === 1
            ? { status: 'done', result: (row['result'] as string | null) ?? undefined }
            : { status: 'busy', owner: row['owner'] as string, untilMs: row['until'] as number }
        const token = nextToken(sql)
        sql.run(put, ns, space, name, token, owner, now + ttlMs, 0, null)
        return { status: 'fresh', token }
      })
    },
    renew: (space, name, token, ttlMs) =>
      hub.writer.write(({ sql }) => {
        const now = clock.now()
        return sql.run(`UPDATE posthorn_name SET until = ?6 ${mine}`, ns, space, name, token, now, now + ttlMs) > 0
      }),
    finish: (space, name, token, result, keepMs) =>
      hub.writer.write(({ sql }) => {
        const now = clock.now()
        const text = `UPDATE posthorn_name SET done = 1, until = ?6, result = ?7 ${mine}`
        return sql.run(text, ns, space, name, token, now, now + keepMs, result ?? null) > 0
      }),
    release: (space, name, token) =>
      hub.writer.write(
        ({ sql }) => sql.run(`DELETE FROM posthorn_name ${mine}`, ns, space, name, token, clock.now()) > 0,
      ),
    take: (space, name, rate) =>
      hub.writer.write(({ sql }) => take(sql, [ns, space, name], rate, clock.now()), { sync: false }),
    forget: (space) =>
      hub.writer.write(({ sql }) => {
        sql.run('DELETE FROM posthorn_name WHERE ns = ? AND space = ?', ns, space)
        sql.run('DELETE FROM posthorn_bucket WHERE ns = ? AND space = ?', ns, space)
      }),
  }
}

/** One from a bucket: 0, or ms until there is one. */
function take(
  sql: Sql,
  bucket: readonly [ns: string, space: string, name: string],
  { perSecond, burst }: Parameters<Claims['take']>[2],
  now: number,
): number {
  const row = sql.row('SELECT tokens, at FROM posthorn_bucket WHERE ns = ? AND space = ? AND name = ?', ...bucket)
  const at = (row?.['at'] as number | undefined) ?? now
  const grown = Math.max(0, now - at) * (perSecond / 1_000)
  const there = Math.min(burst, ((row?.['tokens'] as number | undefined) ?? burst) + grown)
  sql.run(
    `INSERT INTO posthorn_bucket VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (ns, space, name) DO UPDATE SET tokens = excluded.tokens, at = excluded.at`,
    ...bucket,
    there < 1 ? there : there - 1,
    now,
  )
  return there < 1 ? Math.ceil(((1 - there) / perSecond) * 1_000) : 0
}

/** One counter for all names: it rises for each, also for one that was forgotten. */
function nextToken(sql: Sql): number {
  const row = sql.row(
    `INSERT INTO posthorn_meta VALUES ('token', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value`,
  )
  return row?.['value'] as number
}
