import { DatabaseSync, StatementSync } from 'node:sqlite'
import { expect, test, vi } from 'vitest'
import { outlook } from './due.ts'
import { migrate } from './schema.ts'
import { type Sql, sqlOf } from './sql.ts'
import { span } from './topic-rows.ts'

const group = 7
const now = 1_000

/** A file in which the group has read all of topic 1 and of topic 2. */
function fileOf(): Sql {
  const sql = sqlOf(new DatabaseSync(':memory:'))
  migrate(sql, ':memory:')
  sql.run("INSERT INTO posthorn_group (id, ns, kind, source, name, ord) VALUES (?, '', 'p', '*', 'g', 'none')", group)
  for (const topic of [1, 2]) sql.run('INSERT INTO posthorn_cursor VALUES (?, ?, ?)', group, topic, topic * span + 5)
  return sql
}

function put(sql: Sql, seq: number): void {
  sql.run('INSERT INTO posthorn_message (seq, at) VALUES (?, 0)', seq)
}

test('there is something where any of the topics has a message behind the cursor, and only there', () => {
  const sql = fileOf()
  put(sql, span + 5)
  put(sql, 3 * span + 1)
  expect(outlook(sql, group, now)).toEqual({ now: false, at: undefined })
  put(sql, 2 * span + 6)
  expect(outlook(sql, group, now)).toEqual({ now: true, at: undefined })
})

test('there is something to hear where the group is gone', () => {
  const sql = fileOf()
  sql.run('DELETE FROM posthorn_group')
  expect(outlook(sql, group, now)).toEqual({ now: true, at: undefined })
})

test('there is something where a delivery of the group is ready', () => {
  const sql = fileOf()
  const insert = 'INSERT INTO posthorn_delivery (grp, ord, state, sort) VALUES (?, ?, ?, ?)'
  sql.run(insert, group + 1, 1, 0, 0)
  sql.run(insert, group, 2, 2, null)
  expect(outlook(sql, group, now).now).toBe(false)
  sql.run(insert, group, 3, 0, 0)
  expect(outlook(sql, group, now)).toEqual({ now: true, at: undefined })
})

test('the earliest of what comes back, falls due or loses its lease says when to look again', () => {
  const sql = fileOf()
  sql.run('INSERT INTO posthorn_claim VALUES (?, 1, ?, 0, 0, 1)', group, now + 30)
  expect(outlook(sql, group, now)).toEqual({ now: false, at: now + 30 })
  sql.run('INSERT INTO posthorn_delayed (topic, due) VALUES (9, ?)', now + 20)
  expect(outlook(sql, group, now)).toEqual({ now: false, at: now + 20 })
  sql.run('INSERT INTO posthorn_delivery (grp, ord, state, sort) VALUES (?, 1, 3, ?)', group, now + 10)
  expect(outlook(sql, group, now)).toEqual({ now: false, at: now + 10 })
  expect(outlook(sql, group, now + 10)).toEqual({ now: true, at: now + 10 })
})

test('a look takes the read lock once where there is something, and at most twice', () => {
  const sql = fileOf()
  const reads = vi.spyOn(StatementSync.prototype, 'get')
  const all = vi.spyOn(StatementSync.prototype, 'all')
  try {
    outlook(sql, group, now)
    expect(reads.mock.calls.length + all.mock.calls.length).toBe(2)
    put(sql, 2 * span + 6)
    reads.mockClear()
    outlook(sql, group, now)
    expect(reads.mock.calls.length + all.mock.calls.length).toBe(1)
  } finally {
    vi.restoreAllMocks()
  }
})
