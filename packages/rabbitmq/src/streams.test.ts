// Streams of somebody else, which each reader reads for itself, and queues that are full.
import { ensure } from '@posthorn/brokers'
import { type Broker, connectAdapter, topic } from '@posthorn/core'
import { faultProxy } from '@posthorn/testkit'
import { expect, it } from 'vitest'
import { type RabbitOptions, rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'
import { managementOf } from './testing/management.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const management = managementOf('rabbitmq')

async function connected(options: RabbitOptions = { url }): Promise<Broker> {
  const broker = await connectAdapter(rabbitmq(options), { namespace: fixture.namespace, log: false })
  fixture.after(() => broker.close())
  return broker
}

let streams = 0
/** A stream that somebody else has made, and a topic on it. */
async function streamTopic() {
  const stream = `${fixture.namespace}:stream${streams++}`
  await management.call('PUT', `/queues/%2F/${encodeURIComponent(stream)}`, {
    durable: true,
    arguments: { 'x-queue-type': 'stream' },
  })
  return topic<number>(`numbers${streams}`, { on: { rabbitmq: { stream } } })
}

it('is sent to, and read by each reader for itself from where it wants', async () => {
  const broker = await connected()
  const numbers = await streamTopic()
  for (const n of [0, 1, 2, 3, 4]) await broker.producer().send(numbers, n)
  const read = async (from: 'earliest' | 'latest' | { time: Date } | { position: string }): Promise<string[]> => {
    const seen: string[] = []
    await broker.consume(numbers, { mode: 'broadcast', from }, async ({ body, position, headers }) => {
      seen.push([position, body, ...Object.keys(headers)].join(' '))
    })
    return seen
  }
  const [all, some, late, recent] = await Promise.all([
    read('earliest'),
    read({ position: '3' }),
    read('latest'),
    read({ time: new Date(Date.now() - 3_600_000) }),
  ])
  await expect.poll(() => all).toEqual(['0 0', '1 1', '2 2', '3 3', '4 4'])
  await expect.poll(() => recent).toEqual(all)
  await expect.poll(() => some).toEqual(['3 3', '4 4'])
  expect(late).toEqual([])
  await broker.producer().send(numbers, 5)
  await expect.poll(() => late).toEqual(['5 5'])
  await expect.poll(() => some).toEqual(['3 3', '4 4', '5 5'])
})

it('goes on behind what it has read when its connection was lost', async () => {
  const { hostname, port, username, password } = new URL(url)
  await using proxy = await faultProxy({ to: { host: hostname, port: Number(port) } })
  const sender = await connected()
  const reader = await connected({ url: `amqp://${username}:${password}@${proxy.host}:${proxy.port}` })
  const numbers = await streamTopic()
  const seen: number[] = []
  await reader.consume(numbers, { mode: 'broadcast', from: 'earliest' }, async ({ body }) => {
    seen.push(body)
  })
  await sender.producer().send(numbers, 0)
  await expect.poll(() => seen).toEqual([0])
  proxy.cut()
  await sender.producer().send(numbers, 1)
  await expect.poll(() => seen, { timeout: 15_000 }).toEqual([0, 1])
  await reader.close()
})

it('is refused to a group, whose members could not share it, and with a position that is none', async () => {
  const broker = await connected()
  const numbers = await streamTopic()
  const handler = async (): Promise<void> => {}
  await expect(broker.consume(numbers, { group: 'g' }, handler)).rejects.toThrow(
    /cannot share the stream .*mode: 'broadcast'/,
  )
  await expect(broker.consume(numbers, { mode: 'broadcast', from: { position: 'x' } }, handler)).rejects.toThrow(
    /no offset of a stream/,
  )
})

it('puts the oldest on the shelf with its cause where a full queue may push out', async () => {
  const broker = await connected({ url, maxLength: 3, overflow: 'dead-letter' })
  const full = topic<number>('full', { groups: [{ name: 'g', order: 'none' }] })
  for (const n of [1, 2, 3, 4, 5]) await broker.producer().send(full, n)
  const letters = async (): Promise<unknown[]> => {
    const found: unknown[] = []
    for await (const { body, reason } of broker.deadLetters(full, { group: 'g' }).list()) found.push([body, reason])
    return found
  }
  await expect.poll(letters, { timeout: 10_000 }).toEqual([
    [1, 'overflow'],
    [2, 'overflow'],
  ])
  expect((await broker.lag(full, { group: 'g' })).backlog).toBe(3)
})

it('gives group queues further arguments, and refuses those that it sets itself', async () => {
  const broker = await connected({ url, queueArguments: { 'x-max-length-bytes': 1_000_000 } })
  const wide = topic<number>('wide', { groups: [{ name: 'g', order: 'none' }] })
  await broker.producer().send(wide, 1)
  const queue = await management.call('GET', `/queues/%2F/${encodeURIComponent(`${fixture.namespace}:wide@g`)}`)
  expect(queue).toMatchObject({ arguments: { 'x-max-length-bytes': 1_000_000 } })
  expect(() => rabbitmq({ url, queueArguments: { 'x-message-ttl': 1 } })).toThrow(/cannot have x-message-ttl/)
  expect(() => rabbitmq({ url, overflow: 'dead-letter' })).toThrow(/needs maxLength/)
})
