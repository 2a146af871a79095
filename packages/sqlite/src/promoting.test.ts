import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, steeredClock, texts, topicOf } from '../test/stage.ts'

/** More than one transaction moves into the log. */
const count = 1_201

/** A topic with delayed messages that nobody has read, all due by now. */
async function due() {
  const clock = steeredClock()
  const driver = await connected(freshPath(), 5_000, clock)
  const topic = topicOf('t')
  await driver.declare(topic, never)
  const notBefore = clock.now() + 10
  await driver.send(
    Array.from({ length: count }, (_, n) => message('t', `${n}`, { notBefore })),
    { signal: never },
  )
  clock.advance(20)
  return { driver, topic }
}

test('a group that begins at the end begins after what is due', async () => {
  const { driver, topic } = await due()
  const latest = await driver.open(membership(topic, { group: 'latest', from: 'latest' }), never)
  await driver.send([message('t', 'after')], { signal: never })
  expect(texts(await latest.receive(10, never))).toBe('after')
  expect((await driver.lag(topic, 'latest', never)).backlog).toBe(1)
  await driver.close()
})

test('a group that is moved to the end is moved behind what is due', async () => {
  const { driver, topic } = await due()
  const source = await driver.open(membership(topic), never)
  await source.seek?.('latest')
  await driver.send([message('t', 'after')], { signal: never })
  expect(texts(await source.receive(10, never))).toBe('after')
  expect((await driver.lag(topic, 'g', never)).backlog).toBe(1)
  await driver.close()
})

test('lag counts what is due though nobody reads', async () => {
  const { driver, topic } = await due()
  expect((await driver.lag(topic, 'g', never)).backlog).toBe(count)
  await driver.close()
})

test('query shows what is due though nobody reads', async () => {
  const { driver, topic } = await due()
  const shown: string[] = []
  for await (const each of driver.query?.(
    topic,
    { id: undefined, key: undefined, from: undefined, to: undefined },
    never,
  ) ?? [])
    shown.push(texts([each]))
  expect(shown).toEqual(Array.from({ length: count }, (_, n) => `${n}`))
  await driver.close()
})

test('a replay has all that is due when it begins', async () => {
  const { driver, topic } = await due()
  const replay = await driver.open(membership(topic, { mode: 'replay', group: 'r' }), never)
  let found = 0
  for (let got = await replay.receive(500, never); got.length > 0; got = await replay.receive(500, never))
    found += got.length
  expect(found).toBe(count)
  await driver.close()
})

test('lag within a transaction of its own flow answers without what only another transaction can bring', async () => {
  const { driver, topic } = await due()
  await driver.store?.transaction(async (tx) => {
    await tx.query('SELECT 1')
    expect((await driver.lag(topic, 'g', never)).backlog).toBe(0)
  })
  await driver.close()
})
