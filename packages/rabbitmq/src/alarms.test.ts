// The broker is short of memory: what publishes is held up, what consumes goes on, and nobody waits for ever.
import { setTimeout as sleep } from 'node:timers/promises'
import { control, ensure, portsOfNode } from '@posthorn/brokers'
import { connectAdapter, topic } from '@posthorn/core'
import type { Driver, SendResult, TopicSpec } from '@posthorn/core/driver'
import { faultProxy } from '@posthorn/testkit'
import { connect } from 'amqplib'
import { afterEach, expect, it, vi } from 'vitest'
import { rabbitmq } from './index.ts'
import { hurrying } from './testing/clocks.ts'
import { fixtureOn } from './testing/fixture.ts'

// A broker of its own: all on it feel the alarm.
const name = 'rabbitmq-tls'
await ensure(name)
const url = `amqp://guest:guest@127.0.0.1:${portsOfNode(name)['amqp']}`
const fixture = fixtureOn(name, url)
const forever = new AbortController().signal
let alarmed = false
async function alarm(): Promise<void> {
  alarmed = true
  await control(name, ['set_vm_memory_high_watermark', 'absolute', '1MB'])
}
async function relief(): Promise<void> {
  if (alarmed) await control(name, ['set_vm_memory_high_watermark', 'absolute', '512MB'])
  alarmed = false
}
afterEach(relief)
/** Sends until the broker has answered by blocking, and gives up. */
async function blockedBy(driver: Driver, topic: TopicSpec, events: readonly string[]): Promise<readonly SendResult[]> {
  const given = new AbortController()
  const sending = driver.send([fixture.message(topic)], { signal: given.signal })
  await expect.poll(() => events).toContain('disconnected')
  given.abort()
  return sending
}
// The broker's own tool takes seconds to start on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

it('says that it is blocked, gives up sends at their deadline, goes on reading, and closes in time', async () => {
  const events: string[] = []
  const driver = await fixture.connect({ url }, { report: ({ event }) => void events.push(event) })
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  await driver.send([fixture.message(topic)], { signal: forever })
  const naive = await connect(url)
  const channel = await naive.createConfirmChannel()
  await alarm()
  // Naively all is well: it is written, or so it seems, and nothing ever comes of it.
  expect(channel.publish('', 'nowhere', Buffer.from('x'))).toBe(true)
  const pending = channel.waitForConfirms().then(
    () => 'confirmed',
    () => 'failed',
  )
  expect(await Promise.race([pending, sleep(1_000, 'pending')])).toBe('pending')
  // The first is written, and the broker answers it by blocking; then nothing is written any more.
  const [first] = await blockedBy(driver, topic, events)
  expect(first).toMatchObject({ ok: false, error: { code: 'aborted', outcome: 'unknown' } })
  const [second] = await driver.send([fixture.message(topic)], { signal: AbortSignal.timeout(300) })
  expect(second).toMatchObject({ ok: false, error: { code: 'aborted', outcome: 'failed' } })
  expect(await driver.health()).toContainEqual(
    expect.objectContaining({
      name: 'rabbitmq sending',
      ok: false,
      detail: expect.stringMatching(/takes no messages/),
    }),
  )
  expect(events).toEqual(['disconnected'])
  expect((await fixture.receive(await fixture.open(driver, topic), 1)).length).toBe(1)
  const began = performance.now()
  await driver.close()
  expect(performance.now() - began).toBeLessThan(10_000)
  const { stream } = naive.connection as unknown as { readonly stream: { destroy(): void } }
  stream.destroy()
})

it('is what a declaration that gets no answer is refused with', async () => {
  const { clock, hurry } = hurrying()
  const events: string[] = []
  const driver = await fixture.connect({ url }, { clock, report: ({ event }) => void events.push(event) })
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  await alarm()
  await blockedBy(driver, topic, events)
  // Silence is over after 3 s.
  hurry(5)
  await expect(driver.declare(fixture.topic(), forever)).rejects.toMatchObject({
    code: 'throttled',
    message: expect.stringMatching(/takes nothing: .*memory/),
  })
})

it('is no hindrance to who comes to read, and has sent nothing yet', async () => {
  const [sender, reader] = [await fixture.connect(), await fixture.connect()]
  const topic = fixture.topic()
  await sender.declare(topic, forever)
  await sender.send([fixture.message(topic)], { signal: forever })
  await alarm()
  expect((await fixture.receive(await fixture.open(reader, topic), 1)).length).toBe(1)
})

it('sends on by itself when there is room again', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  await driver.send([fixture.message(topic)], { signal: forever })
  await alarm()
  const waiting = [1, 2, 3].map(() => driver.send([fixture.message(topic)], { signal: forever }))
  await sleep(500)
  await relief()
  for (const [result] of await Promise.all(waiting)) expect(result?.ok).toBe(true)
  expect((await fixture.receive(await fixture.open(driver, topic), 4)).length).toBe(4)
})

it('is connected again after its connection was lost while it was blocked', async () => {
  await using proxy = await faultProxy({ to: { host: '127.0.0.1', port: portsOfNode(name)['amqp'] as number } })
  const events: string[] = []
  const at = { url: `amqp://guest:guest@127.0.0.1:${proxy.port}` }
  const driver = await fixture.connect(at, { report: ({ event }) => void events.push(event) })
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  await alarm()
  await blockedBy(driver, topic, events)
  expect(events).toEqual(['disconnected'])
  proxy.cut()
  await relief()
  // The first may still find the old connection.
  const sent = async (): Promise<boolean> =>
    (await driver.send([fixture.message(topic)], { signal: AbortSignal.timeout(5_000) }))[0]?.ok === true
  await expect.poll(sent, { timeout: 15_000 }).toBe(true)
  expect(events).toEqual(['disconnected', 'disconnected', 'connected'])
})

it('handles on after an operator has removed the queue', async () => {
  const broker = await connectAdapter(rabbitmq({ url }), { namespace: fixture.namespace, log: false })
  fixture.after(() => broker.close())
  const orders = topic<number>('orders', { groups: [{ name: 'g', order: 'none' }] })
  const seen: number[] = []
  await broker.consume(orders, { group: 'g' }, async ({ body }) => {
    seen.push(body)
  })
  await broker.producer().send(orders, 1)
  await expect.poll(() => seen).toEqual([1])
  const model = await connect(url)
  const channel = await model.createChannel()
  const queue = `${fixture.namespace}:orders@g`
  await channel.deleteQueue(queue)
  await expect.poll(async () => (await consumersOf(queue)) ?? 0, { timeout: 10_000 }).toBeGreaterThan(0)
  await broker.producer().send(orders, 2)
  await expect.poll(() => seen, { timeout: 10_000 }).toEqual([1, 2])
  await model.close()
})

/** How many consume from a queue, if it is there. */
async function consumersOf(queue: string): Promise<number | undefined> {
  const model = await connect(url)
  try {
    const channel = await model.createChannel()
    channel.on('error', () => {})
    return (await channel.checkQueue(queue)).consumerCount
  } catch {
    return undefined
  } finally {
    await model.close()
  }
}
