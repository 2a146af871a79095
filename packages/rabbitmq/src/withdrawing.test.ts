import { setImmediate as turn } from 'node:timers/promises'
import { ensure } from '@posthorn/brokers'
import { connectAdapter, type MessagingError, topic } from '@posthorn/core'
import { expect, it } from 'vitest'
import { rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const forever = new AbortController().signal

it('takes back what the window of confirms has no room for, and nothing that was written', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  await driver.send([fixture.message(topic)], { signal: forever })
  const batch = Array.from({ length: 6_000 }, () => fixture.message(topic))
  const sending = driver.send(batch, { signal: forever })
  await turn()
  const taken = new Set(batch.filter((message) => driver.withdraw?.(batch, message)).map(({ id }) => id))
  expect(taken.size).toBeGreaterThan(0)
  expect(taken.size).toBeLessThan(batch.length)
  const results = await sending
  expect(batch.filter(({ id }, i) => results[i]?.ok === taken.has(id))).toEqual([])
  // All have their answer: there is nothing to take any more.
  expect(driver.withdraw?.(batch, batch[0] as (typeof batch)[0])).toBe(false)
  const source = await fixture.open(driver, topic, { window: 1_000 })
  const got = await fixture.receive(source, batch.length - taken.size + 1)
  expect(got.filter(({ id }) => taken.has(id))).toEqual([])
  expect(await source.receive(1, AbortSignal.timeout(300))).toEqual([])
})

it('takes back what is not placed yet, also beside others that are', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  const [soon, late, kept] = [
    fixture.message(topic),
    fixture.message(topic, { notBefore: Date.now() + 1_500 }),
    fixture.message(topic),
  ] as const
  const batch = [soon, late, kept]
  const sending = driver.send(batch, { signal: forever })
  expect(batch.slice(0, 2).map((message) => driver.withdraw?.(batch, message))).toEqual([true, true])
  expect((await sending).map(({ ok }) => ok)).toEqual([false, false, true])
  const source = await fixture.open(driver, topic)
  expect((await fixture.receive(source, 2, true, 4_000)).map(({ id }) => id)).toEqual([kept.id])
})

it('of many sends at once that end at their deadline those never written are failed, and are not on the broker', async () => {
  const broker = await connectAdapter(rabbitmq({ url }), { namespace: fixture.namespace })
  fixture.after(() => broker.close())
  const many = topic<number>('many', { groups: ['g'] })
  await broker.producer().send(many, -1)
  const producer = broker.producer({ sendTimeoutMs: 150 })
  const fates = await Promise.all(
    Array.from({ length: 30_000 }, (_, n) =>
      producer.send(many, n).then(
        () => 'held',
        ({ outcome }: MessagingError) => outcome,
      ),
    ),
  )
  const count = (fate: string): number => fates.filter((each) => each === fate).length
  expect(count('failed')).toBeGreaterThan(0)
  const handled = new Set<number>()
  const consumer = await broker.consume(many, { group: 'g' }, async ({ body }) => void handled.add(body))
  await expect.poll(async () => (await broker.lag(many, { group: 'g' })).backlog, { timeout: 20_000 }).toBe(0)
  await consumer.stop()
  expect(fates.flatMap((fate, n) => (fate === 'failed' && handled.has(n) ? [n] : []))).toEqual([])
  expect(fates.flatMap((fate, n) => (fate === 'held' && !handled.has(n) ? [n] : []))).toEqual([])
})
