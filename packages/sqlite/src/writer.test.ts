import { isMessagingError } from '@posthorn/core'
import { expect, test } from 'vitest'
import { freshPath } from '../test/stage.ts'
import { openFile } from './file.ts'
import { hubOf } from './hub.ts'
import { settingsOf } from './options.ts'
import { type Work, writerOf } from './writer.ts'

const level = ({ sql }: Work): unknown => sql.database.prepare('PRAGMA synchronous').get()?.['synchronous']

test('what must survive a loss of power is synced, however often it alternates with what need not', async () => {
  const hub = await hubOf(settingsOf(freshPath()), 1_000)
  for (let n = 0; n < 3; n++) {
    expect(await hub.writer.write(level, { sync: false })).toBe(1)
    expect(await hub.writer.write(level)).toBe(2)
    expect(await hub.writer.write(level)).toBe(2)
  }
  // One that must is enough for all of its transaction.
  expect(await Promise.all([hub.writer.write(level, { sync: false }), hub.writer.write(level)])).toEqual([2, 2])
  await hub.release()
})

test('a held transaction gives the lock up at once, and is told of its commit when the disk has it', async () => {
  const path = freshPath()
  const file = await openFile(path, 1_000)
  const disk = Promise.withResolvers<void>()
  const durable = { settle: () => disk.promise, close: async () => {} }
  const writer = writerOf(file.writer, { path, synchronous: 'full', busyMs: 1_000, durable })
  const held = await writer.begin()
  held.work.sql.database.exec('CREATE TABLE t (n INTEGER)')
  let told = false
  const commit = held.commit().then(() => {
    told = true
  })
  expect(await writer.write(({ sql }) => sql.run('INSERT INTO t VALUES (1)'))).toBe(1)
  const next = await writer.begin()
  next.rollback()
  expect(told).toBe(false)
  disk.resolve()
  await commit
  await writer.close()
})

test("with synchronous: 'normal' nothing is synced on its own", async () => {
  const hub = await hubOf(settingsOf({ path: freshPath(), synchronous: 'normal' }), 1_000)
  expect(await hub.writer.write(level)).toBe(1)
  await hub.release()
})

test('work of one turn is one transaction; work that throws takes back only itself', async () => {
  const hub = await hubOf(settingsOf(freshPath()), 1_000)
  await hub.writer.write(({ sql }) => sql.database.exec('CREATE TABLE t (n INTEGER)'))
  const after: number[] = []
  const put = (n: number, fail = false): Promise<unknown> =>
    hub.writer.write((work) => {
      work.sql.run('INSERT INTO t VALUES (?)', n)
      work.after(() => void after.push(n))
      if (fail) throw new Error('no')
    })
  const results = await Promise.allSettled([put(1), put(2, true), put(3)])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(after).toEqual([1, 3])
  expect(await hub.read((sql) => sql.rows('SELECT n FROM t').map((row) => row['n']))).toEqual([1, 3])
  await hub.release()
})

test('what was aborted while it waited was not written, and says so at once', async () => {
  const hub = await hubOf(settingsOf(freshPath()), 1_000)
  const held = await hub.writer.begin()
  const stop = new AbortController()
  const writing = hub.writer.write(({ sql }) => sql.run('DELETE FROM posthorn_meta'), { signal: stop.signal })
  stop.abort()
  await expect(writing).rejects.toSatisfy((error) => isMessagingError(error, 'aborted') && error.outcome === 'failed')
  await held.commit()
  expect(await hub.read((sql) => sql.row('SELECT count(*) AS n FROM posthorn_meta')?.['n'])).toBe(1)
  await hub.release()
})

test('after the last who uses it has let go, the file is closed and refuses', async () => {
  const path = freshPath()
  const [a, b] = [await hubOf(settingsOf(path), 1_000), await hubOf(settingsOf(path), 1_000)]
  await a.release()
  await a.release()
  expect(await b.writer.write(({ sql }) => sql.row('SELECT 1 AS n')?.['n'])).toBe(1)
  await b.release()
  await expect(b.writer.write(() => 1)).rejects.toSatisfy((error) => isMessagingError(error, 'closed'))
})

test('work waits for one of many who hold a transaction for long, and they for one commit of work', async () => {
  const hub = await hubOf(settingsOf(freshPath()), 1_000)
  const order: string[] = []
  const holding = async (n: number): Promise<void> => {
    const held = await hub.writer.begin()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await held.commit()
    order.push(`held ${n}`)
  }
  const writing = async (n: number): Promise<void> => {
    await hub.writer.write(({ sql }) => sql.row('SELECT 1'))
    order.push(`work ${n}`)
  }
  const all = [holding(1), holding(2), holding(3)]
  while (hub.writer.heldSince === undefined) await new Promise(setImmediate)
  // Never without work that waits.
  const works = (async () => {
    for (let n = 1; order.filter((each) => each.startsWith('held')).length < 3; n++) await writing(n)
  })()
  await Promise.all([...all, works])
  expect(order.indexOf('work 1')).toBeLessThan(order.indexOf('held 2'))
  expect(order.filter((each) => each.startsWith('work')).length).toBeGreaterThanOrEqual(3)
  await hub.release()
})

test('work with large bodies is spread over transactions, so that others have their turn between them', async () => {
  const hub = await hubOf(settingsOf(freshPath()), 1_000)
  const did: string[] = []
  const put = (n: number): Promise<unknown> =>
    hub.writer.write(
      (work) => {
        did.push(`${n}`)
        work.after(() => void did.push('committed'))
      },
      { bytes: 2 ** 20 },
    )
  const turn = new Promise((resolve) => setImmediate(() => resolve(did.push('another'))))
  await Promise.all([...Array.from({ length: 6 }, (_, n) => put(n)), turn])
  const committed = Array(4).fill('committed')
  expect(did.filter((each) => each !== 'another')).toEqual([
    '0',
    '1',
    '2',
    '3',
    ...committed,
    '4',
    '5',
    ...committed.slice(2),
  ])
  expect(did.indexOf('another')).toBeLessThan(did.indexOf('4'))
  await hub.release()
})
