import { isMessagingError } from '@posthorn/core'
import { expect, test } from 'vitest'
import { connected, freshPath, message, never, topicOf } from '../test/stage.ts'
import { hubOf } from './hub.ts'
import { settingsOf } from './options.ts'
import type { Sql } from './sql.ts'

const count = (sql: Sql): unknown => sql.row('SELECT count(*) AS n FROM t')?.['n']

test('a read sees what is committed and nothing of a transaction that is open, and uses the pages that the writer has', async () => {
  const hub = await hubOf(settingsOf(freshPath()), 1_000)
  await hub.writer.write(({ sql }) => sql.database.exec('CREATE TABLE t (n INTEGER)'))
  const writing = await hub.writer.write(({ sql }) => sql)
  const held = await hub.writer.begin()
  held.work.sql.run('INSERT INTO t VALUES (1)')
  expect(await hub.read((sql) => [count(sql), sql === writing])).toEqual([0, false])
  await held.commit()
  expect(await hub.read((sql) => [count(sql), sql === writing])).toEqual([1, true])
  const back = await hub.writer.begin()
  back.work.sql.run('INSERT INTO t VALUES (2)')
  back.rollback()
  expect(await hub.read(count)).toBe(1)
  await hub.release()
})

test('a read between two sends does not hide that another connection sent meanwhile', async () => {
  const path = freshPath()
  const mine = await connected(path)
  const other = await hubOf(settingsOf({ path, probeMs: 7 }), 1_000)
  await mine.declare(topicOf('t'), never)
  expect(await mine.send([message('t', 'a')], { signal: never })).toEqual([{ ok: true, position: '1' }])
  await other.writer.write(({ sql }) => {
    sql.run('INSERT INTO posthorn_message (seq, at) SELECT max(seq) + 1, at FROM posthorn_message')
  })
  // Reads by the handle that writes.
  expect(await mine.topics?.(never)).toHaveLength(1)
  expect(await mine.send([message('t', 'c')], { signal: never })).toEqual([{ ok: true, position: '3' }])
  await other.release()
  await mine.close()
})

test('what is asked of a file after its end is refused as closed, also where others of this process have it open', async () => {
  const path = freshPath()
  const [first, second] = await Promise.all([0, 1].map(() => hubOf(settingsOf(path), 1_000)))
  await first?.release()
  await expect(first?.read(() => 1)).rejects.toSatisfy((error) => isMessagingError(error, 'closed'))
  expect(await second?.read(() => 1)).toBe(1)
  await second?.release()
  await expect(second?.read(() => 1)).rejects.toThrow(`the SQLite file ${path} is closed`)
})
