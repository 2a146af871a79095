import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { isMessagingError } from '@posthorn/core'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { migrate, migrations, versionOf } from './schema.ts'
import { sqlOf } from './sql.ts'

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

test('a file too short to be a database is refused and left as it is', async () => {
  const path = freshPath()
  writeFileSync(path, 'x')
  await expect(connected(path)).rejects.toSatisfy(coded('invalid'))
  expect(readFileSync(path, 'utf8')).toBe('x')
})

test.each([
  'CREATE TABLE posthorn_topic (x)',
  "CREATE TABLE posthorn_meta (name TEXT, value TEXT); INSERT INTO posthorn_meta VALUES ('version', 'ours')",
  'CREATE TABLE posthorn_meta (version)',
])("another's tables of our names are refused and left as they are: %s", async (theirs) => {
  const path = freshPath()
  const database = new DatabaseSync(path)
  database.exec(theirs)
  const before = database.prepare('SELECT * FROM sqlite_schema').all()
  const refused = expect(connected(path)).rejects
  await refused.toSatisfy(coded('invalid'))
  await refused.toThrow(/tables of the name posthorn_.* that are not Posthorn's; name another file/)
  expect(database.prepare('SELECT * FROM sqlite_schema').all()).toEqual(before)
  database.close()
})

test('a file of a newer version is refused and named', async () => {
  const path = freshPath()
  await (await connected(path)).close()
  const database = new DatabaseSync(path)
  database.exec("UPDATE posthorn_meta SET value = 99 WHERE name = 'version'")
  await expect(connected(path)).rejects.toThrow(/newer Posthorn \(tables of version 99/)
  database.close()
})

test('a file of an older version is brought up and keeps what is in it; who knows only the older one refuses it then', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  await driver.send([message('t', 'kept')], { signal: never })
  const database = new DatabaseSync(path)
  migrate(sqlOf(database), path, [...migrations, ['ALTER TABLE posthorn_held ADD COLUMN colour TEXT']])
  expect(versionOf(sqlOf(database), path)).toBe(migrations.length + 1)
  database.close()
  // Who had it open before goes on.
  const source = await driver.open(membership(topicOf('t')), never)
  expect(texts(await source.receive(1, never))).toBe('kept')
  await driver.close()
  await expect(connected(path)).rejects.toThrow(/newer Posthorn/)
})

/** A file as the first version left it, with three groups of a topic, of which `b` has read nothing. */
function ofFirstVersion(): string {
  const path = freshPath()
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL')
  migrate(sqlOf(database), path, migrations.slice(0, 1))
  database.exec(`INSERT INTO posthorn_topic (id, ns, name, partitions, keyed) VALUES (1, '', 't', 1, 0);
    INSERT INTO posthorn_group (id, ns, kind, source, name, ord) VALUES
      (1, '', 't', 't', 'a', 'none'), (2, '', 't', 't', 'b', 'none'), (5, '', 't', 't', 'c', 'none');
    INSERT INTO posthorn_cursor VALUES (2, 1, 549755813888);
    INSERT INTO posthorn_message (seq, at, id, body, type, sent) VALUES (549755813889, 1, 'm', x'78', '', 1);
    DELETE FROM posthorn_group WHERE name = 'c'`)
  database.close()
  return path
}

test('a file of the first version keeps its groups, and from then on gives a number of a group once', async () => {
  const path = ofFirstVersion()
  const driver = await connected(path)
  const numbers = (): unknown =>
    driver.client.database
      .prepare('SELECT id, name FROM posthorn_group ORDER BY id')
      .all()
      .map(({ id, name }) => `${id} ${name}`)
  expect(numbers()).toEqual(['1 a', '2 b'])
  const source = await driver.open(membership(topicOf('t'), { group: 'b' }), never)
  expect(texts(await source.receive(1, never))).toBe('x')
  await driver.open(membership(topicOf('t'), { group: 'd', mode: 'broadcast' }), never).then((each) => each.close())
  await driver.open(membership(topicOf('t'), { group: 'e' }), never)
  expect(numbers()).toEqual(['1 a', '2 b', '4 e'])
  await driver.close()
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

test("the file's own folder is made, and whoever names the file by another path is in the same one", async () => {
  const path = freshPath()
  const other = join(dirname(path), 'link')
  symlinkSync(dirname(path), other)
  const named = join(other, 'data', 'app.db')
  const drivers = await Promise.all([connected(named), connected(join(dirname(path), 'data', 'app.db'))])
  await drivers[0].declare(topicOf('t'), never)
  await drivers[0].send([message('t', 'kept')], { signal: never })
  const source = await drivers[1].open(membership(topicOf('t')), never)
  expect(texts(await source.receive(1, never))).toBe('kept')
  for (const driver of drivers) await driver.close()
})

test('a folder whose own parent is missing is not made: the path may be misspelt', async () => {
  const path = freshPath()
  const named = join(dirname(path), 'dtaa', 'shop', 'app.db')
  await expect(connected(named)).rejects.toSatisfy(coded('not-found'))
  await expect(connected(named)).rejects.toThrow(/dtaa.shop of the SQLite file .* is not there, and neither is .*dtaa;/)
  expect(existsSync(join(dirname(path), 'dtaa'))).toBe(false)
})

test('a folder in place of a file, and a file in place of a folder, are refused', async () => {
  const path = freshPath()
  mkdirSync(path)
  await expect(connected(path)).rejects.toThrow(/is a folder; name a file in it/)
  const file = `${path}.txt`
  writeFileSync(file, 'dear diary')
  await expect(connected(join(file, 'app.db'))).rejects.toThrow(/app\.db\.txt is no folder/)
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

test('a back-up ends while messages flow, and is a whole file as of one moment', async () => {
  const path = freshPath()
  const driver = await connected({ path, synchronous: 'normal' })
  await driver.declare(topicOf('t'), never)
  const before = 1_500
  // More than is copied in one step: between two steps others commit.
  await driver.send(
    Array.from({ length: before }, () => message('t', 'x'.repeat(4_000))),
    { signal: never },
  )
  const copy = join(dirname(path), 'copy.db')
  let saved = false
  const saving = driver.client.backup(copy).then(() => {
    saved = true
  })
  for (; !saved; ) await driver.send([message('t', 'meanwhile')], { signal: never })
  await saving
  await expect(driver.client.backup(copy)).rejects.toThrow(/is there already/)
  await driver.close()
  const other = await connected(copy)
  const { backlog } = await other.lag(topicOf('t'), 'g', never)
  expect(backlog).toBeGreaterThanOrEqual(before)
  expect(await other.send([message('t', 'next')], { signal: never })).toEqual([
    { ok: true, position: `${backlog + 1}` },
  ])
  expect(other.client.database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  await other.close()
})

test('a back-up that cannot be made says so and leaves nothing behind', async () => {
  const path = freshPath()
  const driver = await connected(path)
  const nowhere = join(dirname(path), 'deep', 'copy.db')
  await expect(driver.client.backup(nowhere)).rejects.toSatisfy(coded('unavailable'))
  await expect(driver.client.backup(nowhere)).rejects.toThrow(`the SQLite file ${nowhere} (a copy of`)
  expect(existsSync(nowhere)).toBe(false)
  await driver.close()
})

test('ten processes that start at once on a new file all open it, and so do three on one of an older version', {
  timeout: 90_000,
}, async () => {
  const [path, older] = [freshPath(), ofFirstVersion()]
  const member = fileURLToPath(new URL('../test/member.ts', import.meta.url))
  const codes = await Promise.all(
    Array.from({ length: 13 }, (_, n) => {
      const child: ChildProcess = fork(member, [n < 10 ? path : older, 'open'], {
        execArgv: ['--conditions=posthorn:source'],
      })
      return new Promise((resolve) => child.once('exit', resolve))
    }),
  )
  expect(codes).toEqual(Array.from({ length: 13 }, () => 0))
  const file = new DatabaseSync(older)
  expect(versionOf(sqlOf(file), older)).toBe(migrations.length)
  expect(file.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  file.close()
})
