// What holds where nobody says otherwise: each of these is a promise of its own, whatever options can change it.
import { connectAdapter, isMessagingError, topic } from '@posthorn/core'
import { type Driver, planOf } from '@posthorn/core/driver'
import { changedAdapter } from '@posthorn/testkit'
import { afterEach, expect, test, vi } from 'vitest'
import { memory } from './index.ts'

const orders = topic<string>('orders', { groups: ['g'] })

afterEach(() => void vi.unstubAllEnvs())

/** A broker on a clock in hand; `over` changes its driver. */
async function standing(over: (driver: Driver) => Partial<Driver> = () => ({})) {
  const manual = memory({ clock: 'manual' })
  const adapter = changedAdapter(manual, (plan) => ({
    ...plan,
    async connect(context) {
      const driver = await plan.connect(context)
      return Object.assign(Object.create(driver), over(driver))
    },
  }))
  const broker = await connectAdapter(adapter, { log: false })
  const clock = planOf(manual).clock as unknown as { advance(ms: number): Promise<void>; now(): number }
  return { broker, clock }
}

test('memory is refused in production, as a broker and as a store, unless it is asked for', async () => {
  const allowed = memory({ allowInProduction: true })
  vi.stubEnv('NODE_ENV', 'production')
  for (const connecting of [connectAdapter(memory()), connectAdapter(allowed, { store: memory() })])
    await expect(connecting).rejects.toThrow(
      /memory keeps nothing .*NODE_ENV is production; use sqlite:.*allowInProduction/,
    )
  await (await connectAdapter(allowed, { store: memory({ allowInProduction: true }) })).close()
})

test('a send is given up after 10 s over all tries, as unknown where it may have been written', async () => {
  const { broker, clock } = await standing(() => ({ send: () => new Promise<never>(() => {}) }))
  let ended: unknown
  broker
    .producer()
    .send(orders, 'x')
    .catch((error: unknown) => (ended = error))
  await clock.advance(9_999)
  expect(ended).toBeUndefined()
  await clock.advance(1)
  expect(isMessagingError(ended, 'timeout') && ended.outcome).toBe('unknown')
})

test('a body of 1 MiB is sent, one of a byte more is refused', async () => {
  const { broker } = await standing()
  const bytesOfJson = (size: number): string => 'x'.repeat(size - 2)
  await broker.producer().send(orders, bytesOfJson(1_048_576))
  const refused = await broker
    .producer()
    .send(orders, bytesOfJson(1_048_577))
    .catch((error: unknown) => error)
  expect(isMessagingError(refused, 'too-large')).toBe(true)
})

test('ids are UUIDs of version 7, and eight lanes hold the keys', async () => {
  const { broker } = await standing()
  const { id } = await broker.producer().send(orders, 'x')
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect((await broker.topics.list()).map(({ partitions }) => partitions)).toEqual([8])
})

test('a handler that fails is tried five times with jittered waits up to 200, 400, 800 and 1,600 ms, then its message is a dead letter', async () => {
  const { broker, clock } = await standing()
  const starts: number[] = []
  await broker.consume(orders, { group: 'g' }, async () => {
    starts.push(clock.now())
    throw new Error('no')
  })
  await broker.producer().send(orders, 'x')
  await clock.advance(60_000)
  expect(starts).toHaveLength(5)
  for (const [n, at] of starts.slice(1).entries())
    expect(at - (starts[n] as number)).toBeLessThanOrEqual(200 * 2 ** n + 1)
  const letters = []
  for await (const letter of broker.deadLetters(orders, { group: 'g' }).list()) letters.push(letter)
  expect(letters.map(({ reason, attempts }) => `${reason} ${attempts}`)).toEqual(['attempts 5'])
})

test('stop gives back what has not started and waits 30 s for handlers, which then get a second to notice', async () => {
  const { broker, clock } = await standing()
  const consumer = await broker.consume(orders, { group: 'g', concurrency: 1 }, () => new Promise<never>(() => {}))
  await broker.producer().sendBatch(orders, [{ body: 'x' }, { body: 'y' }])
  await clock.advance(10)
  expect(consumer.stats().inFlight).toBe(1)
  let stopped: unknown
  void consumer.stop().then((counts) => (stopped = counts))
  await clock.advance(29_999)
  expect(stopped).toBeUndefined()
  await clock.advance(1_001)
  expect(stopped).toEqual({ handled: 0, givenBack: 1 })
})

test('order is by key where the topic has one', async () => {
  const { broker } = await standing()
  const explained = async (of: typeof orders): Promise<string> => String(await broker.explain(of, { group: 'g' }))
  expect(await explained(topic<string>('keyed', { key: (body) => body }))).toContain('by key')
  expect(await explained(orders)).not.toContain('by key')
})

test('a group begins at the earliest message that is kept', async () => {
  const { broker, clock } = await standing()
  await broker.producer().send(orders, 'before')
  const seen: string[] = []
  await broker.consume(orders, { group: 'late' }, async ({ body }) => void seen.push(body))
  await clock.advance(10)
  expect(seen).toEqual(['before'])
})
