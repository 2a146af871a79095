import { StatementSync } from 'node:sqlite'
import { isMessagingError } from '@posthorn/core'
import { type Clock, systemClock } from '@posthorn/core/driver'
import { expect, test, vi } from 'vitest'
import { connected, freshPath, membership, message, never, steeredClock, texts, topicOf } from '../test/stage.ts'
import { hubOf } from './hub.ts'
import { settingsOf } from './options.ts'
import { tidy, upkeepOf } from './upkeep.ts'

const day = 86_400_000

test('what every group has settled goes after its retention, what one has not stays, and the places are not used again', async () => {
  const path = freshPath()
  const driver = await connected(path)
  const groups = ['a', 'b'].map((name) => ({ name, order: 'none', filter: undefined }) as const)
  const topic = topicOf('t', { groups, retentionMs: day })
  await driver.declare(topic, never)
  await driver.send(
    ['1', '2', '3'].map((text) => message('t', text)),
    { signal: never },
  )
  const a = await driver.open(membership(topic, { group: 'a' }), never)
  const b = await driver.open(membership(topic, { group: 'b' }), never)
  const settle = async (source: typeof a, count: number): Promise<void> => {
    const got = await source.receive(count, never)
    await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
  }
  await settle(a, 3)
  await settle(b, 1)
  const hub = await hubOf(settingsOf(path), 1_000)
  const round = (later: number): Promise<boolean> => hub.writer.write((work) => tidy(work, Date.now() + later, 0))
  const left = async (): Promise<string> => {
    const found = []
    for await (const each of driver.query?.(
      topic,
      { id: undefined, key: undefined, from: undefined, to: undefined },
      never,
    ) ?? [])
      found.push(each)
    return texts(found)
  }
  await round(0)
  expect(await left()).toBe('1 2 3')
  await round(2 * day)
  expect(await left()).toBe('2 3')
  await settle(b, 2)
  await round(2 * day)
  expect(await left()).toBe('')
  await expect(a.seek?.({ position: '2' })).rejects.toSatisfy((error) => isMessagingError(error, 'stale'))
  expect(await driver.send([message('t', '4')], { signal: never })).toEqual([{ ok: true, position: '4' }])
  await hub.release()
  await driver.close()
})

test('where no group is known and no retention is named, everything stays for the first', async () => {
  const path = freshPath()
  const driver = await connected(path)
  const topic = topicOf('t', { groups: [] })
  await driver.declare(topic, never)
  await driver.send([message('t', '1')], { signal: never })
  const hub = await hubOf(settingsOf(path), 1_000)
  await hub.writer.write((work) => tidy(work, Date.now() + 900 * day, 0))
  const source = await driver.open(membership(topic), never)
  expect(texts(await source.receive(1, never))).toBe('1')
  await hub.release()
  await driver.close()
})

test('a broadcast group whose process gave no sign for long is forgotten with what it held up', async () => {
  const path = freshPath()
  const driver = await connected(path)
  const topic = topicOf('t', { groups: [], retentionMs: 1 })
  await driver.declare(topic, never)
  await driver.open(membership(topic, { mode: 'broadcast', group: 'gone', from: 'latest' }), never)
  await driver.send([message('t', '1')], { signal: never })
  const hub = await hubOf(settingsOf(path), 1_000)
  const groups = (): Promise<unknown> => hub.read((sql) => sql.row('SELECT count(*) AS n FROM posthorn_group')?.['n'])
  await hub.writer.write((work) => tidy(work, Date.now() + 60_000, 0))
  expect(await groups()).toBe(1)
  await hub.writer.write((work) => tidy(work, Date.now() + 300_000, 0))
  expect(await groups()).toBe(0)
  await hub.release()
  await driver.close()
})

test.each(['ends', 'dies'])(
  'what a broadcast member has handled is forgotten when it %s, in rounds where it is much, and nothing of another group',
  async (how) => {
    const path = freshPath()
    // Its own rounds, which come when they like, would be counted among ours.
    const driver = await connected({ path, synchronous: 'normal' }, 5_000, steeredClock(Date.now()))
    const topic = topicOf('t', { groups: [] })
    await driver.declare(topic, never)
    const member = membership(topic, { mode: 'broadcast', group: 'screen', from: 'latest' })
    const source = await driver.open(member, never)
    const note = (group: string, count: number): Promise<unknown> | undefined =>
      driver.store?.transaction(async (tx) => {
        for (let n = 0; n < count; n++) await driver.store?.once({ id: `${n}`, topic: 't', group }, tx)
      })
    await note('screen', 4_500)
    await note('screen.2', 10)
    const hub = await hubOf(settingsOf({ path, synchronous: 'normal' }), 1_000)
    const left = (): Promise<unknown> =>
      hub.read((sql) => [
        sql.row('SELECT count(*) AS n FROM posthorn_name')?.['n'],
        sql.row('SELECT count(*) AS n FROM posthorn_group')?.['n'],
      ])
    if (how === 'ends') await source.close()
    const later = how === 'ends' ? 1 : 300_000
    const rounds = []
    do rounds.push(await left())
    while (await hub.writer.write((work) => tidy(work, Date.now() + later, day)))
    expect(rounds).toEqual(
      how === 'ends'
        ? [
            [2_510, 1],
            [510, 1],
          ]
        : [
            [4_510, 1],
            [2_510, 1],
            [510, 1],
          ],
    )
    expect(await left()).toEqual([10, 0])
    await hub.release()
    await driver.close()
  },
)

test('the file stays small however much goes through it, and gives back what a rush took', async () => {
  const path = freshPath()
  const driver = await connected({ path, synchronous: 'normal' })
  const topic = topicOf('t', { retentionMs: 0 })
  await driver.declare(topic, never)
  const source = await driver.open(membership(topic, { window: 2_000 }), never)
  const hub = await hubOf(settingsOf({ path, synchronous: 'normal' }), 1_000)
  const pages = (): Promise<number> => hub.read((sql) => Number(sql.row('PRAGMA page_count')?.['page_count']))
  let rush = 0
  const through = async (count: number): Promise<void> => {
    const batch = Array.from({ length: count }, () => message('t', 'x'.repeat(4_000)))
    await driver.send(batch, { signal: never })
    rush = Math.max(rush, await pages())
    for (let done = 0; done < count; ) {
      const got = await source.receive(count, never)
      await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
      done += got.length
    }
    while (await hub.writer.write((work) => tidy(work, Date.now() + 1, 0)));
  }
  await through(1_500)
  expect(rush).toBeGreaterThan(1_500)
  for (let round = 0; round < 12; round++) await through(100)
  // In steps of a megabyte, down to what is left free for the next.
  expect(await pages()).toBeLessThan(600)
  await hub.release()
  await driver.close()
})

test('by its own pace, however quick the machine, retention takes away 28,000 messages a second', async () => {
  const path = freshPath()
  const driver = await connected({ path, synchronous: 'normal' })
  const topic = topicOf('t', { groups: [], retentionMs: 0 })
  await driver.declare(topic, never)
  const count = 10_000
  const batch = Array.from({ length: count }, (_, n) => message('t', `${n}`))
  await driver.send(batch, { signal: never })
  const hub = await hubOf(settingsOf({ path, synchronous: 'normal' }), 1_000)
  const left = (): Promise<unknown> => hub.read((sql) => sql.row('SELECT count(*) AS n FROM posthorn_message')?.['n'])
  // Waits are written down, and over at once.
  const waits: number[] = []
  const emptied = new Promise<void>((resolve) => {
    const clock: Clock = {
      ...systemClock,
      now: () => Date.now() + day,
      after(ms, call) {
        waits.push(ms)
        void left().then((n) => (n === 0 ? resolve() : call()))
        return () => {}
      },
    }
    upkeepOf(hub, clock, 0)
  })
  await emptied
  // The first wait is for the first round, the last comes after all is gone.
  const paced = waits.slice(1, -1).reduce((sum, ms) => sum + ms, 0)
  expect(paced).toBeLessThan((count / 28_000) * 1_000)
  await hub.release()
  await driver.close()
})

test('a round over a thousand topics of which nothing may go asks once for all', async () => {
  const path = freshPath()
  const driver = await connected({ path, synchronous: 'normal' })
  const names = Array.from({ length: 1_000 }, (_, n) => `t${n}`)
  await Promise.all(names.map((name) => driver.declare(topicOf(name), never)))
  await driver.send(
    names.map((name) => message(name, 'x')),
    { signal: never },
  )
  const hub = await hubOf(settingsOf({ path, synchronous: 'normal' }), 1_000)
  const reads = vi.spyOn(StatementSync.prototype, 'all')
  // Some are young, later all are old and not settled.
  for (const later of [0, 900 * day]) await hub.writer.write((work) => tidy(work, Date.now() + later, day))
  expect(reads.mock.calls.length).toBeLessThan(20)
  reads.mockRestore()
  expect((await driver.lag(topicOf('t5'), 'g', never)).backlog).toBe(1)
  await hub.release()
  await driver.close()
})
