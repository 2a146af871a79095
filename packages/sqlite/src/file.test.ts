import { type ChildProcess, fork } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { isMessagingError } from '@posthorn/core'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

const coded =
  (code: Parameters<typeof isMessagingError>[1]) =>
  (error: unknown): boolean =>
    isMessagingError(error, code as 'invalid')

test('a file that is no database is refused and left as it is', async () => {
  const path = freshPath()
  writeFileSync(path, 'dear diary, '.repeat(500))
  await expect(connected(path)).rejects.toSatisfy(coded('invalid'))
  expect(readFileSync(path, 'utf8')).toBe('dear diary, '.repeat(500))
})

test('a file of a newer version is refused and named', async () => {
  const path = freshPath()
  await (await connected(path)).close()
  const database = new DatabaseSync(path)
  database.exec("UPDATE posthorn_meta SET value = 99 WHERE name = 'version'")
  await expect(connected(path)).rejects.toThrow(/newer Posthorn \(tables of version 99/)
  database.close()
})

test('a damaged file is refused with what to do, at the opening or at the first use of what is damaged', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  for (let n = 0; n < 50; n++) await driver.send([message('t', 'x'.repeat(2_000))], { signal: never })
  await driver.close()
  const bytes = readFileSync(path)
  bytes.fill(0xa5, 4_096, bytes.length)
  writeFileSync(path, bytes)
  const use = async (): Promise<void> => {
    const again = await connected(path)
    try {
      await again.declare(topicOf('t'), never)
      await again.send([message('t', 'y')], { signal: never })
    } finally {
      await again.close()
    }
  }
  await expect(use()).rejects.toThrow(/is damaged.*restore a back-up/)
})

test('a folder that is not there, and a folder in place of a file, are refused', async () => {
  const path = freshPath()
  await expect(connected(join(path, 'deep', 'app.db'))).rejects.toSatisfy(coded('not-found'))
  mkdirSync(path)
  await expect(connected(path)).rejects.toThrow(/is a folder; name a file in it/)
})

test.skipIf(process.getuid?.() === 0)('a folder that may not be written is refused', async () => {
  const path = freshPath()
  chmodSync(dirname(path), 0o500)
  await expect(connected(path)).rejects.toThrow(/cannot be written/)
  chmodSync(dirname(path), 0o700)
})

test('a full disk fails the send as unavailable, keeps what was acknowledged, and goes on when there is room', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  await driver.send([message('t', 'kept')], { signal: never })
  // SQLite answers a file at its page limit as it answers a full disk.
  const limit = (pages: number): Promise<unknown> | undefined =>
    driver.store?.transaction(async (tx) => tx.query(`PRAGMA max_page_count = ${pages}`))
  await limit(1)
  const full = driver.send([message('t', 'x'.repeat(5_000_000))], { signal: never })
  await expect(full).rejects.toSatisfy((error) => isMessagingError(error, 'unavailable') && error.outcome === 'failed')
  await limit(1_000_000)
  await driver.send([message('t', 'after')], { signal: never })
  const source = await driver.open(membership(topicOf('t')), never)
  expect(texts(await source.receive(10, never))).toBe('kept after')
  await driver.close()
})

test("the application's own tables stay as they are, and so does its user_version", async () => {
  const path = freshPath()
  const database = new DatabaseSync(path)
  database.exec('PRAGMA user_version = 7; CREATE TABLE orders (id TEXT); INSERT INTO orders VALUES (1)')
  await (await connected(path)).close()
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 7 })
  expect(database.prepare('PRAGMA application_id').get()).toEqual({ application_id: 0 })
  expect(database.prepare('SELECT count(*) AS n FROM orders').get()).toEqual({ n: 1 })
  database.close()
})

test('a back-up while messages flow is a whole file that opens', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  for (let n = 0; n < 20; n++) await driver.send([message('t', `${n}`)], { signal: never })
  const copy = join(dirname(path), 'copy.db')
  const saving = driver.client.backup(copy)
  for (let n = 20; n < 40; n++) await driver.send([message('t', `${n}`)], { signal: never })
  await saving
  await expect(driver.client.backup(copy)).rejects.toThrow(/is there already/)
  await driver.close()
  expect(existsSync(copy)).toBe(true)
  const other = await connected(copy)
  const source = await other.open(membership(topicOf('t')), never)
  expect((await source.receive(100, never)).length).toBeGreaterThanOrEqual(20)
  await other.close()
})

test('eight processes that start at once on a new file all open it', async () => {
  const path = freshPath()
  const member = fileURLToPath(new URL('../test/member.ts', import.meta.url))
  const codes = await Promise.all(
    Array.from({ length: 8 }, () => {
      const child: ChildProcess = fork(member, [path, 'open'], { execArgv: ['--conditions=posthorn:source'] })
      return new Promise((resolve) => child.once('exit', resolve))
    }),
  )
  expect(codes).toEqual(Array.from({ length: 8 }, () => 0))
})
