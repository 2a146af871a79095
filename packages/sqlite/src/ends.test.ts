import { DatabaseSync } from 'node:sqlite'
import type { Dispatch, Driver } from '@posthorn/core/driver'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, steeredClock, topicOf } from '../test/stage.ts'
import { sqliteTx } from './index.ts'

type Connection = Pick<Driver, 'send'>

async function positions(driver: Connection, ...over: readonly Partial<Dispatch>[]): Promise<string> {
  const batch = over.map((each) => message('t', 'x', each))
  const results = await driver.send(batch, { signal: never })
  return results.map((each) => (each.ok ? each.position : each.error.code)).join(' ')
}

test('places go on from whatever was written last, by whichever handle', async () => {
  const path = freshPath()
  const one = await connected(path)
  // Another setting is another handle of the same process.
  const other = await connected({ path, synchronous: 'normal' })
  await one.declare(topicOf('t'), never)
  expect(await positions(one, {})).toBe('1')
  expect(await positions(other, {})).toBe('2')
  expect(await positions(one, {}, {})).toBe('3 4')
  const database = new DatabaseSync(path)
  const inYours = async (end: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
    database.exec('BEGIN IMMEDIATE')
    await one.send([message('t', 'x')], { signal: never, tx: sqliteTx(database) })
    database.exec(end)
  }
  await inYours('COMMIT')
  expect(await positions(one, {})).toBe('6')
  await inYours('ROLLBACK')
  expect(await positions(one, {})).toBe('7')
  database.close()
  await other.close()
  await one.close()
})

test('places of what was taken back are given again', async () => {
  const driver = await connected(freshPath())
  await driver.declare(topicOf('t'), never)
  expect(await positions(driver, {})).toBe('1')
  const huge = message('t', 'x', { body: new Uint8Array(17_000_000) })
  const refused = await driver.send([message('t', 'x'), huge], { signal: never, atomic: true })
  expect(refused.map(({ ok }) => ok)).toEqual([false, false])
  expect(await positions(driver, {})).toBe('2')
  const backed = driver.store?.transaction(async (tx) => {
    await driver.send([message('t', 'x')], { signal: never, tx })
    throw new Error('taken back')
  })
  await expect(backed).rejects.toThrow('taken back')
  expect(await positions(driver, {})).toBe('3')
  await driver.store?.transaction((tx) => driver.send([message('t', 'x')], { signal: never, tx }))
  expect(await positions(driver, {})).toBe('5')
  await driver.close()
})

test('what falls due, and what a group took out of the log, keep their places', async () => {
  const clock = steeredClock()
  const driver = await connected(freshPath(), 5_000, clock)
  await driver.declare(topicOf('t'), never)
  const source = await driver.open(membership(topicOf('t')), never)
  expect(await positions(driver, { notBefore: clock.now() + 30 })).toBe('')
  expect(await positions(driver, {}, { group: 'g' })).toBe('1 2')
  clock.advance(30)
  const got: string[] = []
  while (got.length < 3) {
    const arrivals = await source.receive(10, never)
    got.push(...arrivals.map(({ position }) => position ?? ''))
    await source.settle(arrivals.map(({ token }) => ({ token, verdict: 'ack' })))
  }
  // The delayed one came in third.
  expect(got).toEqual(['1', '2', '3'])
  expect(await positions(driver, {})).toBe('4')
  await driver.close()
})

test('a batch of any size is written whole and in order', async () => {
  const driver = await connected(freshPath())
  await driver.declare(topicOf('t'), never)
  const sizes = [1, 2, 15, 16, 17, 33]
  const batch = (size: number): Dispatch[] => Array.from({ length: size }, (_, n) => message('t', `${size}-${n}`))
  for (const size of sizes) await driver.send(batch(size), { signal: never })
  const source = await driver.open(membership(topicOf('t')), never)
  const arrivals = await source.receive(100, never)
  expect(arrivals.map(({ body }) => Buffer.from(body).toString())).toEqual(
    sizes.flatMap((size) => batch(size).map(({ body }) => Buffer.from(body).toString())),
  )
  await driver.close()
})
