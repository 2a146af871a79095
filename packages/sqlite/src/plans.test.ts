import { DatabaseSync } from 'node:sqlite'
import { partsOf } from '@posthorn/core/driver'
import { expect, test, vi } from 'vitest'
import { connected, freshPath, membership, message, never, topicOf } from '../test/stage.ts'
import { hubOf } from './hub.ts'
import { settingsOf } from './options.ts'
import { tidy } from './upkeep.ts'

/** What grows with the load; nothing reads one of these from end to end, or sorts it, for a single answer. */
const growing = 'message|delivery|delayed|letter|held|name|claim'
const dear = [
  new RegExp(`SCAN (posthorn_(${growing})\\b|h\\b|e\\b)`),
  /TEMP B-TREE/,
  // All that a group has not settled.
  /posthorn_delivery USING PRIMARY KEY \(grp=\?\)$/,
]
/** A group that goes, or is moved, takes all of its own along. */
const whole = ['DELETE FROM posthorn_delivery WHERE grp = ?']

test('every statement finds what it needs by an index, whatever lies in the file, and whatever ANALYZE saw in it', async () => {
  const texts = new Set<string>()
  const prepare = DatabaseSync.prototype.prepare
  const spy = vi.spyOn(DatabaseSync.prototype, 'prepare').mockImplementation(function (this: DatabaseSync, text) {
    texts.add(text)
    return prepare.call(this, text)
  })
  const path = freshPath()
  const driver = await connected(path)
  await everything(driver, path)
  spy.mockRestore()
  const ours = [...texts].filter((text) => /^(SELECT|INSERT|UPDATE|DELETE)/.test(text) && text.includes('posthorn_'))
  expect(ours.length).toBeGreaterThan(60)
  const file = new DatabaseSync(path)
  expect(dearOf(file, ours)).toEqual([])
  // An application may run ANALYZE in its own file at any moment: on next to nothing, or on a load of one kind.
  file.exec('ANALYZE')
  for (const rows of [1, 1_000_000]) {
    const indexes = file.prepare(
      "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index' AND tbl_name GLOB 'posthorn_*'",
    )
    file.exec('DELETE FROM sqlite_stat1')
    for (const { name, tbl_name: table } of indexes.all())
      file
        .prepare('INSERT INTO sqlite_stat1 VALUES (?, ?, ?)')
        .run(table as string, name as string, `${rows} ${rows} ${rows} ${rows} ${rows} ${rows}`)
    const analyzed = new DatabaseSync(path)
    // Pages of what is held: no hint makes SQLite seek in a table that it takes for one row. A page then reads what lies before it, which few ask for.
    const pages = /FROM posthorn_held NOT INDEXED WHERE ns = \? AND state = \? AND no > \? ORDER BY no LIMIT/
    expect(dearOf(analyzed, ours).filter((each) => !pages.test(each))).toEqual([])
    analyzed.close()
  }
  file.close()
  await driver.close()
})

/** Plans of these statements that cost more the more there is. */
function dearOf(database: DatabaseSync, texts: readonly string[]): readonly string[] {
  return texts
    .filter((text) => !whole.includes(text))
    .flatMap((text) =>
      database
        .prepare(`EXPLAIN QUERY PLAN ${text}`)
        .all()
        .map(({ detail }) => String(detail))
        .filter((detail) => dear.some((each) => each.test(detail)))
        .map((detail) => `${detail} in: ${text}`),
    )
}

/** One of everything that a driver and a store are asked for. */
async function everything(driver: Awaited<ReturnType<typeof connected>>, path: string): Promise<void> {
  const topic = topicOf('t', { groups: [{ name: 'g', order: 'key', filter: undefined }], keyed: true, retentionMs: 1 })
  const control = { signal: never }
  await driver.declare(topic, never)
  const letter = { reason: 'rejected', error: undefined, attempts: 1, at: 0 } as const
  await driver.send(
    [
      ...[1, 2, 3, 4].map((n) => message('t', `${n}`, { key: 'k' })),
      message('t', 'copy', { group: 'g' }),
      message('t', 'late', { id: 'late', notBefore: Date.now() + 60_000 }),
      message('t', 'due', { notBefore: Date.now() + 1 }),
      message('t', 'urgent', { priority: 3 }),
      message('t', 'letter', { letter, group: 'g' }),
    ],
    control,
  )
  await driver.reschedule?.('late', 't', Date.now() + 90_000, undefined)
  await driver.cancel?.('late', 't', undefined)
  await driver.cancel?.('late', 't', undefined)
  const source = await driver.open(membership(topic, { order: 'key' }), never)
  const [first, second, ...rest] = await source.receive(10, never)
  await source.extend?.([first?.token, second?.token])
  await source.mark?.(first?.token)
  await source.settle([
    { token: second?.token, verdict: 'nack' },
    { token: first?.token, verdict: 'nack', failures: 1, history: [], afterMs: 1 },
    ...rest.map(({ token }) => ({ token, verdict: 'ack' }) as const),
  ])
  await source.receive(10, never)
  await driver.lag(topic, 'g', never)
  for await (const _ of driver.query?.(topic, { id: 'x', key: 'k', from: 1, to: undefined }, never) ?? []);
  const shelf = driver.shelf(topic, 'g')
  for await (const { token } of shelf.list(never)) await shelf.remove([token], never)
  await source.seek?.({ time: 0 })
  await source.close()
  await driver.open(membership(topic, { mode: 'broadcast', group: 'b' }), never)
  if (driver.store !== undefined) await stored(driver.store)
  const hub = await hubOf(settingsOf(path), 1_000)
  await hub.writer.write((work) => tidy(work, Date.now() + 900_000, 0))
  await hub.release()
  await driver.topics?.(never)
  await driver.remove?.('t', never)
}

async function stored(store: NonNullable<Awaited<ReturnType<typeof connected>>['store']>): Promise<void> {
  const { held, claims } = partsOf(store)
  const row = {
    state: 'ready',
    message: message('t', 'x'),
    topic: undefined,
    lane: 'l',
    dueAt: 0,
    tries: 0,
  } as const
  await held?.insert([
    { ...row, ref: 'a' },
    { ...row, ref: 'b' },
  ])
  await held?.claim({ state: 'ready', now: Date.now(), max: 1, leaseMs: 1_000 })
  await held?.change('b', { state: 'ready' }, { state: 'ready', dueAt: 5 })
  await held?.change('b', { state: 'ready' }, { state: 'parked', dueAt: 5 })
  await held?.change('b', { state: 'parked' }, undefined)
  await held?.get('a')
  for (const lane of [undefined, 'l']) {
    await held?.range({ state: 'ready', lane, after: 'a', max: 9 })
    await held?.count('ready', lane)
  }
  await held?.nextDue('ready')
  await claims?.acquire('s', 'n', 'me', 1_000)
  await claims?.renew('s', 'n', 1, 1_000)
  await claims?.finish('s', 'n', 1, 'r', 1_000)
  await claims?.release('s', 'n', 1)
  await claims?.take('s', 'n', { perSecond: 1, burst: 1 })
  await store.transaction((tx) => store.once({ id: 'i', topic: 't', group: 'g' }, tx))
  await claims?.forget('s')
}
