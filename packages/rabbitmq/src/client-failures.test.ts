// Each way in which amqplib or the broker fails whoever uses them as they come: shown first, then held against the driver.
import { setTimeout as sleep } from 'node:timers/promises'
import { ensure } from '@posthorn/brokers'
import { type SendResult, systemClock } from '@posthorn/core/driver'
import { faultProxy } from '@posthorn/testkit'
import { type ChannelModel, connect } from 'amqplib'
import { describe, expect, it } from 'vitest'
import { publisherOn } from './confirms.ts'
import { namesIn } from './names.ts'
import { openTap } from './tap.ts'
import { byHand, hurrying } from './testing/clocks.ts'
import { fixtureOn } from './testing/fixture.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const names = namesIn(fixture.namespace)
const forever = new AbortController().signal

/** The client as it comes. */
async function naive(at = url): Promise<ChannelModel> {
  const model = await connect(at)
  model.on('error', () => {})
  fixture.after(() => Promise.race([model.close(), sleep(100)]))
  return model
}
/** Whether a promise has settled. */
const settledWithin = (promise: Promise<unknown>, ms: number): Promise<boolean> =>
  Promise.race([
    promise.then(
      () => true,
      () => true,
    ),
    sleep(ms, false),
  ])
const codes = (results: readonly SendResult[]): string[] =>
  results.map((each) => (each.ok ? 'ok' : `${each.error.code} ${each.error.outcome}`))
async function proxied(): Promise<{ readonly proxy: Awaited<ReturnType<typeof faultProxy>>; readonly at: string }> {
  const { hostname, port, username, password } = new URL(url)
  const proxy = await faultProxy({ to: { host: hostname, port: Number(port) } })
  fixture.after(() => proxy.close())
  return { proxy, at: `amqp://${username}:${password}@${proxy.host}:${proxy.port}` }
}

describe('sending', () => {
  it('tells of a message that the broker confirms and drops', async () => {
    const channel = await (await naive()).createConfirmChannel()
    await channel.assertExchange(`${fixture.namespace}:naive`, 'fanout')
    // Naively all is well.
    await new Promise((resolve) =>
      channel.publish(`${fixture.namespace}:naive`, '', Buffer.from('x'), {}, resolve),
    ).then((error) => expect(error).toBeNull())
    const driver = await fixture.connect()
    const topic = fixture.topic({ groups: [] })
    await driver.declare(topic, forever)
    const same = fixture.message(topic)
    const results = await driver.send([same, fixture.message(topic), same], { signal: forever })
    expect(codes(results)).toEqual(['unroutable failed', 'unroutable failed', 'unroutable failed'])
  })

  it('settles what is never confirmed when its caller gives up', async () => {
    const { proxy, at } = await proxied()
    const driver = await fixture.connect({ url: at })
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    await driver.send([fixture.message(topic)], { signal: forever })
    const channel = await (await naive(at)).createConfirmChannel()
    proxy.blackHole()
    channel.publish('', names.queue(topic.name, 'g'), Buffer.from('x'))
    expect(await settledWithin(channel.waitForConfirms(), 1_000)).toBe(false)
    const started = performance.now()
    const results = await driver.send([fixture.message(topic)], { signal: AbortSignal.timeout(300) })
    expect(codes(results)).toEqual(['aborted unknown'])
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('calls all unknown that was written when the connection broke, and goes on', async () => {
    const { proxy, at } = await proxied()
    const driver = await fixture.connect({ url: at })
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    await driver.send([fixture.message(topic)], { signal: forever })
    proxy.freeze('down')
    const { passed } = proxy.counts.up
    const sending = driver.send([fixture.message(topic), fixture.message(topic)], { signal: forever })
    await proxy.until(({ up }) => up.passed > passed)
    proxy.cut()
    expect(codes(await sending)).toEqual(['unavailable unknown', 'unavailable unknown'])
    await proxy.restore()
    expect(codes(await driver.send([fixture.message(topic)], { signal: forever }))).toEqual(['ok'])
  })

  it('refuses headers that AMQP cannot carry without losing the connection', async () => {
    const driver = await fixture.connect()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const big = fixture.message(topic, { headers: { big: 'x'.repeat(70_000) } })
    const name = fixture.message(topic, { headers: { ['n'.repeat(300)]: 'x' } })
    const results = await driver.send([fixture.message(topic), big, name, fixture.message(topic)], { signal: forever })
    expect(codes(results)).toEqual(['ok', 'too-large failed', 'invalid failed', 'ok'])
  })

  it('blames the one message that the broker finds too large, which closes the channel for all', async () => {
    const model = await naive()
    const channel = await model.createConfirmChannel()
    let limit = 0
    const publisher = publisherOn(channel, {
      tooLong(most) {
        limit = most
      },
      refused() {},
    })
    const outgoing = (bytes: number) => ({
      id: String(bytes),
      exchange: 'amq.fanout',
      key: '',
      body: Buffer.alloc(bytes),
      properties: {},
    })
    const results = await publisher.publish([outgoing(17 * 1_048_576), outgoing(1)], forever)
    expect(codes(results)).toEqual(['too-large failed', 'unavailable unknown'])
    expect(limit).toBe(16_777_216)
    expect(codes(await publisher.publish([outgoing(1)], forever))).toEqual(['unavailable failed'])
  })

  it('waits with what does not fit into the socket, and gets all of it through', async () => {
    const { proxy, at } = await proxied()
    const driver = await fixture.connect({ url: at })
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    proxy.drip(4_000_000)
    const before = process.memoryUsage().arrayBuffers
    const body = Buffer.alloc(20_000)
    const results = await driver.send(
      Array.from({ length: 400 }, () => fixture.message(topic, { body })),
      { signal: AbortSignal.timeout(20_000) },
    )
    expect(results.every(({ ok }) => ok)).toBe(true)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000)
  })
})

describe('consuming', () => {
  it('tells that the broker cancelled the consumer, and goes on when the queue is there again', async () => {
    const driver = await fixture.connect()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const channel = await (await naive()).createChannel()
    const came: unknown[] = []
    await channel.consume(names.queue(topic.name, 'g'), (message) => came.push(message))
    const source = await fixture.open(driver, topic)
    await channel.deleteQueue(names.queue(topic.name, 'g'))
    await expect(source.receive(1, AbortSignal.timeout(5_000))).rejects.toMatchObject({ code: 'unavailable' })
    // Naively there is a null, and silence ever after.
    await expect.poll(() => came).toEqual([null])
    await source.close()
    await driver.declare(topic, forever)
    const next = await fixture.open(driver, topic)
    await driver.send([fixture.message(topic)], { signal: forever })
    expect((await fixture.receive(next, 1)).length).toBe(1)
  })

  it('survives a second acknowledgement, which costs others their channel', async () => {
    const driver = await fixture.connect()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    await driver.send([fixture.message(topic), fixture.message(topic), fixture.message(topic)], { signal: forever })
    const channel = await (await naive()).createChannel()
    const error = new Promise((resolve) => channel.on('error', resolve))
    const message = await channel.get(names.queue(topic.name, 'g'))
    if (message === false) throw new Error('there is a message')
    channel.ack(message)
    channel.ack(message)
    expect(String(await error)).toMatch(/unknown delivery tag/)
    const source = await fixture.open(driver, topic)
    const [first] = await fixture.receive(source, 1, false)
    const settlement = { token: first?.token, verdict: 'ack' } as const
    expect(await source.settle([settlement, settlement])).toEqual(['ok', 'stale'])
    expect(await source.settle([settlement])).toEqual(['stale'])
    expect((await fixture.receive(source, 1)).length).toBe(1)
  })

  it('acknowledges out of order without taking along what is not settled', async () => {
    const driver = await fixture.connect()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    await driver.send(
      Array.from({ length: 10 }, (_, n) => fixture.message(topic, { body: Buffer.from(`${n}`) })),
      { signal: forever },
    )
    const source = await fixture.open(driver, topic)
    const all = await fixture.receive(source, 10, false)
    for (const n of [9, 1, 0, 5, 4, 2, 7])
      expect(await source.settle([{ token: all[n]?.token, verdict: 'ack' }])).toEqual(['ok'])
    await source.close()
    const again = await fixture.receive(await fixture.open(driver, topic), 3)
    expect(again.map(({ body }) => Number(Buffer.from(body).toString()))).toEqual([3, 6, 8])
    expect((await driver.lag(topic, 'g', forever)).backlog).toBe(0)
  })

  it('answers stale for what was held when the connection broke', async () => {
    const { proxy, at } = await proxied()
    const driver = await fixture.connect({ url: at })
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    await driver.send([fixture.message(topic)], { signal: forever })
    const source = await fixture.open(driver, topic)
    const [held] = await fixture.receive(source, 1, false)
    proxy.cut()
    await expect(source.receive(1, AbortSignal.timeout(5_000))).rejects.toMatchObject({ code: 'unavailable' })
    expect(await source.settle([{ token: held?.token, verdict: 'ack' }])).toEqual(['stale'])
    await source.close()
    // The other connection may be noticed a moment later: who has the source opened again comes back then, too.
    const reopened = await fixture.open(driver, topic).catch(() => fixture.open(driver, topic))
    const [again] = await fixture.receive(reopened, 1)
    expect(again?.id).toBe(held?.id)
    expect(again?.deliveryCount).toBe(2)
  })

  it('notices a peer that has gone silent, on both connections', async () => {
    const { proxy, at } = await proxied()
    const events: string[] = []
    const driver = await fixture.connect({ url: at, heartbeatS: 1 }, { report: ({ event }) => void events.push(event) })
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const source = await fixture.open(driver, topic)
    proxy.blackHole()
    await expect(source.receive(1, AbortSignal.timeout(20_000))).rejects.toMatchObject({ code: 'unavailable' })
    expect((await driver.health()).some(({ ok }) => !ok)).toBe(true)
    expect(events).toContain('disconnected')
  })

  it('waits for what takes long as long as it gets on, as a topic with hundreds of groups, and no longer', async () => {
    const { proxy, at } = await proxied()
    const { clock, pass } = byHand()
    const driver = await fixture.connect({ url: at }, { clock })
    const groups = Array.from({ length: 6 }, (_, i) => ({ name: `g${i}`, order: 'none', filter: undefined }) as const)
    const began = clock.now()
    let declared = false
    const declaring = driver.declare(fixture.topic({ groups }), forever).finally(() => {
      declared = true
    })
    while (!declared) {
      const { passed } = proxy.counts.down
      await Promise.race([declaring, proxy.until(({ down }) => down.passed > passed)])
      // Far less than silence may take; together far more.
      pass(2_000)
    }
    expect(clock.now() - began).toBeGreaterThan(60_000)
    proxy.freeze()
    const refused = expect(driver.declare(fixture.topic({ groups }), forever)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/no answer within/),
    })
    pass(15_000)
    await refused
    await proxy.restore()
  })

  it('does not wait for ever for a queue that does not answer, as one without a leader', async () => {
    const { proxy, at } = await proxied()
    const driver = await fixture.connect()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const channels = [await (await naive(at)).createChannel(), await (await naive(at)).createChannel()] as const
    const queue = names.queue(topic.name, 'g')
    proxy.freeze()
    expect(
      await settledWithin(
        channels[0].consume(queue, () => {}),
        1_000,
      ),
    ).toBe(false)
    const opening = openTap({
      channel: channels[1],
      // Ten times as fast.
      clock: { ...systemClock, after: (ms, call, options) => systemClock.after(ms / 10, call, options) },
      names,
      queue,
      prefetch: 1,
      topic: topic.name,
      counted: true,
      mapped: false,
      single: false,
      own: false,
      arrived: () => {},
      died: () => {},
    })
    await expect(opening).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`consuming from queue ${queue}: no answer within`),
    })
  })

  it('closes within its time with nobody at the other end', async () => {
    const { proxy, at } = await proxied()
    const model = await naive(at)
    const { clock, hurry } = hurrying()
    const driver = await fixture.connect({ url: at }, { clock })
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    await fixture.open(driver, topic)
    proxy.blackHole()
    const closing = model.close()
    // Its 5 s are one.
    hurry(5)
    const started = performance.now()
    await driver.close()
    expect(performance.now() - started).toBeLessThan(4_000)
    expect(await settledWithin(closing, 0)).toBe(false)
    closing.catch(() => {})
  })

  it('does not carry the deaths of a message along', async () => {
    const driver = await fixture.connect()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const later = { group: 'g', notBefore: Date.now() + 150 }
    await driver.send([fixture.message(topic, { ...later, headers: { 'x-death': 'mine' } })], { signal: forever })
    const source = await fixture.open(driver, topic)
    const [first] = await fixture.receive(source, 1)
    if (first === undefined) throw new Error('it came')
    expect({ ...first.headers }).toEqual({ 'x-death': 'mine' })
    await driver.send([{ ...first, group: 'g', generation: 1 }], { signal: forever })
    const channel = await (await naive()).createChannel()
    await source.close()
    await driver.send([{ ...first, group: 'g', generation: 2 }], { signal: forever })
    const raw = await channel.get(names.queue(topic.name, 'g'), { noAck: true })
    expect(raw === false ? {} : raw.properties.headers).not.toHaveProperty('x-death')
  })
})
