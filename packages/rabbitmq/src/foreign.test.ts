// Others on the same broker: Debian's command line clients, both ways, and what the management API says at the end.
import { ensure } from '@posthorn/brokers'
import { amqpTool } from '@posthorn/brokers/amqp-tools'
import { connectAdapter, topic } from '@posthorn/core'
import { expect, it, vi } from 'vitest'
import { rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'
import { managementOf } from './testing/management.ts'

// The first run on a machine downloads the tools.
vi.setConfig({ testTimeout: 120_000 })
const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const management = managementOf('rabbitmq')
const { namespace } = fixture

async function broker() {
  const made = await connectAdapter(rabbitmq({ url }), { namespace, log: false })
  fixture.after(() => made.close())
  return made
}

/** Waits until queues hold nothing, not even in somebody's hands; the book in which the topics of a namespace stand keeps its cards. */
async function empty(prefix: string): Promise<readonly { readonly name: string; readonly messages: number }[]> {
  const end = performance.now() + 15_000
  for (;;) {
    const all = (await management.queues(prefix)).filter(({ name }) => name !== `${namespace}:~topics`)
    if (all.every(({ messages }) => messages === 0) || performance.now() > end) return all
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

it('reads what amqp-publish sent to the exchange of a topic, and leaves nothing in the queues', async () => {
  const orders = topic<{ n: number }>('orders', {
    groups: [
      { name: 'billing', order: 'key' },
      { name: 'audit', order: 'none' },
    ],
  })
  const ours = await broker()
  const got: string[] = []
  for (const group of ['billing', 'audit'] as const)
    await ours.consume(orders, { group }, async ({ body, id }) => {
      got.push(`${group} ${body.n} ${id.slice(0, 7)} ${id.length}`)
    })
  const to = ['-u', url, '-e', `${namespace}:orders`, '-r', '0.orders', '-p', '-C', 'application/json']
  for (const n of [1, 2]) await amqpTool('amqp-publish', [...to, '-b', JSON.stringify({ n })])
  await expect.poll(() => got.length, { timeout: 10_000 }).toBe(4)
  expect(got.sort()).toEqual([
    'audit 1 sha256: 39',
    'audit 2 sha256: 39',
    'billing 1 sha256: 39',
    'billing 2 sha256: 39',
  ])
  expect(await empty(`${namespace}:orders`)).toSatisfy(
    (all: { messages: number }[]) => all.length > 2 && all.every(({ messages }) => messages === 0),
  )
})

it('reads and writes queues and exchanges of somebody else, and amqp-consume reads what we send', async () => {
  const [exchange, inbox, outbox] = [`${namespace}:shop`, `${namespace}:inbox`, `${namespace}:outbox`]
  const path = (...parts: string[]) => `/${parts.map(encodeURIComponent).join('/')}`
  await management.call('PUT', path('exchanges', '/', exchange), { type: 'topic', durable: true })
  for (const [queue, key] of [
    [inbox, 'order.created'],
    [outbox, 'order.paid'],
  ] as const) {
    await management.call('PUT', path('queues', '/', queue), { durable: true })
    await management.call('POST', path('bindings', '/', 'e', exchange, 'q', queue), { routing_key: key })
  }
  const ours = await broker()
  const created = topic<string>('created', {
    on: { rabbitmq: { exchange, routingKey: 'order.created', queue: inbox } },
  })
  const paid = topic<{ id: number }>('paid', {
    on: { rabbitmq: { exchange, routingKey: 'order.paid', queue: outbox } },
  })
  const got: unknown[] = []
  await ours.consume(created, { group: 'billing' }, async ({ body, key, headers }) => {
    got.push([body, key, { ...headers }])
  })
  await amqpTool('amqp-publish', [
    ...[
      '-u',
      url,
      '-e',
      exchange,
      '-r',
      'order.created',
      '-C',
      'application/json',
      '-H',
      'shop: 7',
      '-b',
      '"number 42"',
    ],
  ])
  await expect.poll(() => got, { timeout: 10_000 }).toEqual([['number 42', undefined, { shop: '7' }]])
  await ours.producer().send(paid, { id: 42 })
  expect(await amqpTool('amqp-consume', ['-u', url, '-q', outbox, '-c', '1', 'cat'])).toBe('{"id":42}')
  expect((await empty(`${namespace}:`)).filter(({ messages }) => messages > 0)).toEqual([])
})
