// What an operator removes while messages go to a topic, with nobody who consumes it.
import { ensure } from '@posthorn/brokers'
import { connectAdapter, reject, topic } from '@posthorn/core'
import { systemClock } from '@posthorn/core/driver'
import { connect } from 'amqplib'
import { afterAll, describe, expect, it } from 'vitest'
import { rabbitmq } from './index.ts'
import { firstLevel } from './ladder.ts'
import { namesIn } from './names.ts'
import { fixtureOn } from './testing/fixture.ts'
import { recheckMs } from './verifying.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const forever = new AbortController().signal

it('is made again at the next look, and explain() names how often that is', async () => {
  let aheadMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
  const driver = await fixture.connect({ url }, { clock })
  const orders = fixture.topic({
    groups: ['billing', 'audit'].map((name) => ({ name, order: 'none' as const, filter: undefined })),
  })
  await driver.declare(orders, forever)
  const send = () => driver.send([fixture.message(orders)], { signal: forever })
  await send()
  const model = await connect(url)
  fixture.after(() => model.close())
  const channel = await model.createChannel()
  const queue = `${fixture.namespace}:${orders.name}@billing`
  await channel.deleteQueue(queue)
  // The other group has it, so the broker confirms it: this is what the look is for.
  expect((await send())[0]?.ok).toBe(true)
  aheadMs = recheckMs + 1
  await send()
  const waiting = async (): Promise<number> => {
    await send()
    const own = await model.createChannel()
    own.on('error', () => {})
    return own.checkQueue(queue).then(
      ({ messageCount }) => messageCount,
      () => 0,
    )
  }
  await expect.poll(waiting, { timeout: 10_000 }).toBeGreaterThan(0)
})

it('finds a level of the ladder that was removed, without which delayed messages come early', async () => {
  let aheadMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
  const driver = await fixture.connect({ url }, { clock })
  const orders = fixture.topic()
  await driver.declare(orders, forever)
  await driver.send([fixture.message(orders, { notBefore: clock.now() + 4_000 })], { signal: forever })
  const model = await connect(url)
  fixture.after(() => model.close())
  const channel = await model.createChannel()
  const level = namesIn(fixture.namespace).level(firstLevel + 1)
  await channel.deleteQueue(level)
  aheadMs = recheckMs + 1
  await driver.send([fixture.message(orders)], { signal: forever })
  const there = async (): Promise<boolean> => {
    const own = await model.createChannel()
    own.on('error', () => {})
    return own.checkQueue(level).then(
      () => true,
      () => false,
    )
  }
  await expect.poll(there, { timeout: 10_000 }).toBe(true)
})

describe('without what an operator removed', () => {
  const model = connect(url)
  afterAll(async () => (await model).close())
  /** A topic that a message has gone to, and what to remove things with. */
  async function used(name: string) {
    const broker = await connectAdapter(rabbitmq({ url }), { namespace: fixture.namespace, log: false })
    fixture.after(() => broker.close())
    const orders = topic<number>(name, { groups: [{ name: 'g', order: 'none' }] })
    await broker.producer().send(orders, 1)
    return { broker, orders, names: namesIn(fixture.namespace), channel: await (await model).createChannel() }
  }
  const quickly = async (sending: Promise<unknown>): Promise<void> => {
    const from = performance.now()
    await sending
    // Half of what a send may take.
    expect(performance.now() - from).toBeLessThan(15_000)
  }

  it('a send makes the exchange of its topic again', async () => {
    const { broker, orders, names, channel } = await used('no-exchange')
    await channel.deleteExchange(names.topic(orders.name))
    await quickly(broker.producer().send(orders, 2))
    expect((await broker.lag(orders, { group: 'g' })).backlog).toBe(2)
  })

  it('a send makes the queue of the only group again', async () => {
    const { broker, orders, names, channel } = await used('no-queue')
    await channel.deleteQueue(names.queue(orders.name, 'g'))
    await quickly(broker.producer().send(orders, 2))
    expect((await broker.lag(orders, { group: 'g' })).backlog).toBe(1)
  })

  it('a delayed send makes the levels of the ladder again', async () => {
    const { broker, orders, names, channel } = await used('no-level')
    const seen: number[] = []
    await broker.consume(orders, { group: 'g' }, async ({ body }) => {
      seen.push(body)
    })
    await broker.producer().send(orders, 2, { delayMs: 150 })
    for (let level = firstLevel; level <= firstLevel + 3; level++) await channel.deleteExchange(names.level(level))
    await quickly(broker.producer().send(orders, 3, { delayMs: 150 }))
    // Without a key nothing is said of their order: the one that was under way waits until its way is there again.
    await expect.poll(() => seen.toSorted(), { timeout: 10_000 }).toEqual([1, 2, 3])
  })

  it('a dead letter makes its shelf again', async () => {
    const { broker, orders, names, channel } = await used('no-shelf')
    await broker.consume(orders, { group: 'g' }, async () => reject('no'))
    const letters = async (): Promise<readonly unknown[]> => {
      const found: unknown[] = []
      for await (const { body } of broker.deadLetters(orders, { group: 'g' }).list()) found.push(body)
      return found
    }
    await expect.poll(letters).toEqual([1])
    await channel.deleteQueue(names.shelf(orders.name, 'g'))
    const queue = names.queue(orders.name, 'g')
    await broker.producer().send(orders, 2)
    // To list them would make it, too.
    await expect.poll(async () => (await channel.checkQueue(queue)).messageCount, { timeout: 10_000 }).toBe(0)
    await expect.poll(async () => (await broker.lag(orders, { group: 'g' })).backlog, { timeout: 10_000 }).toBe(0)
    expect(await letters()).toEqual([2])
  })

  it('a send where others make things says what is missing', async () => {
    const { orders, names, channel } = await used('not-ours')
    const careful = await connectAdapter(rabbitmq({ url }), {
      namespace: fixture.namespace,
      topology: 'check',
      log: false,
    })
    fixture.after(() => careful.close())
    await careful.producer().send(orders, 2)
    await channel.deleteQueue(names.queue(orders.name, 'g'))
    await expect(careful.producer().send(orders, 3)).rejects.toMatchObject({ code: 'unroutable' })
  })
})

it('is named by explain()', async () => {
  const broker = await connectAdapter(rabbitmq({ url }), { namespace: fixture.namespace, log: false })
  fixture.after(() => broker.close())
  const explained = await broker.explain(topic('explained', { groups: ['g'] }), { group: 'g' })
  expect(String(explained)).toMatch(/look at them again every 30000 ms/)
})
