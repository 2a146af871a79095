// RabbitMQ: sending and consuming through a broker of ours beside amqplib by hand (G1 to G3), and the way from send to handler (G4).
import { ensure } from '@posthorn/brokers'
import { type Broker, connectAdapter, type SendOptions, type Topic, topic } from '@posthorn/core'
import { rabbitmq } from '@posthorn/rabbitmq'
import { type Channel, type ConfirmChannel, type ConsumeMessage, connect, type Message, type Options } from 'amqplib'
import type { BenchFile, Block, Case } from './harness/case.ts'
import { measured, type Order, orderOf } from './parts/measuring.ts'
import { installPeers } from './parts/peers.ts'
import { acm, golevelup, nest, type OpenPeer, type Peer, rabbitmqClient, rascal } from './parts/rabbitmq-peers.ts'
import { counting, sendBy } from './parts/through.ts'

const fresh = (): string => `bench${Date.now().toString(36)}${process.pid}`
const ordersOf = (): Topic<Order> => topic<Order>('orders', { groups: ['bench'] })
const bytesOf = (id: number): Buffer => Buffer.from(JSON.stringify(orderOf(id)))

/** Runs work in a namespace of its own, and removes what it left. */
const inNamespace = async <T>(work: (namespace: string, url: string) => Promise<T>): Promise<T> => {
  const namespace = fresh()
  const url = await ensure('rabbitmq')
  try {
    return await work(namespace, url)
  } finally {
    const connection = await connect(url)
    const channel = await connection.createChannel()
    for (const queue of ['orders@bench', 'orders@bench~dead', '~unroutable', '~topics'])
      await channel.deleteQueue(`${namespace}:${queue}`)
    for (const exchange of [
      'orders',
      'orders~late',
      'orders~agreed',
      'orders@bench~agreed',
      '~delivery',
      '~readers',
      '~unroutable',
    ])
      await channel.deleteExchange(`${namespace}:${exchange}`)
    await connection.close()
  }
}
const connected = (url: string, namespace: string) => connectAdapter(rabbitmq({ url }), { log: false, namespace })

/** As `sendBy`, with options for each message. */
const sendWith = async (
  broker: Broker,
  orders: Topic<Order>,
  count: number,
  options: SendOptions | undefined,
): Promise<void> => {
  if (options === undefined) return sendBy(broker, orders, count, callers)
  const producer = broker.producer({ buffer: 2 * callers })
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await producer.send(orders, orderOf(next++), options)
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

const callers = 1_000
const warmUp = 20_000

const sending =
  (count: number, options?: SendOptions): Block =>
  (scale) =>
    inNamespace(async (namespace, url) => {
      const broker = await connected(url, namespace)
      const orders = ordersOf()
      await sendWith(broker, orders, warmUp, options)
      const messages = Math.ceil(count * scale)
      const sample = await measured(messages, () => sendWith(broker, orders, messages, options))
      await broker.close()
      return sample
    })

/** A quorum queue with nothing else, as whoever tunes by hand would make it. */
const rawQueue = async (channel: Channel, namespace: string): Promise<string> => {
  const queue = `${namespace}:orders@bench`
  await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
  return queue
}

/** A window of confirms by callback, JSON per message. */
const publishing = (
  channel: ConfirmChannel,
  queue: string,
  count: number,
  properties: Options.Publish,
): Promise<void> =>
  new Promise((resolve, reject) => {
    let [next, confirmed] = [0, 0]
    const one = (): void => {
      channel.publish('', queue, bytesOf(next++), properties, (error: unknown) => {
        if (error !== null) return reject(error as Error)
        if (++confirmed === count) resolve()
        else if (next < count) one()
      })
    }
    for (let i = 0; i < Math.min(callers, count); i++) one()
  })

const sentByHand =
  (count: number, properties: () => Options.Publish): Block =>
  (scale) =>
    inNamespace(async (namespace, url) => {
      const connection = await connect(url, { noDelay: true })
      const channel = await connection.createConfirmChannel()
      const queue = await rawQueue(channel, namespace)
      await publishing(channel, queue, warmUp, properties())
      const messages = Math.ceil(count * scale)
      const sample = await measured(messages, () => publishing(channel, queue, messages, properties()))
      await connection.close()
      return sample
    })

const filled = async (url: string, queue: string, count: number): Promise<void> => {
  const connection = await connect(url)
  const channel = await connection.createConfirmChannel()
  await publishing(channel, queue, count, {
    ...lean(),
    messageId: fresh(),
    appId: 'ph',
    contentType: 'application/json',
  })
  await connection.close()
}

const prefetch = 500

const consuming =
  (count: number): Block =>
  (scale) =>
    inNamespace(async (namespace, url) => {
      const messages = Math.ceil(count * scale)
      const broker = await connected(url, namespace)
      const orders = ordersOf()
      await sendBy(broker, orders, 1, 1)
      await filled(url, `${namespace}:orders@bench`, messages - 1)
      const sample = await measured(messages, async () => (await counting(broker, orders, prefetch)).reached(messages))
      await broker.close()
      return sample
    })

/** An async handler per message; one acknowledgement per turn, up to the lowest that is not done. */
const consumedByHand =
  (count: number): Block =>
  (scale) =>
    inNamespace(async (namespace, url) => {
      const messages = Math.ceil(count * scale)
      const connection = await connect(url, { noDelay: true })
      const channel = await connection.createChannel()
      const queue = await rawQueue(channel, namespace)
      await filled(url, queue, messages)
      await channel.prefetch(prefetch)
      let sum = 0
      const handler = async (order: Order): Promise<void> => {
        sum += order.id
      }
      const sample = await measured(messages, async () => {
        await new Promise<void>((resolve, reject) => {
          let [handled, low, due] = [0, 1, false]
          const done = new Set<number>()
          const flush = (): void => {
            due = false
            const from = low
            while (done.delete(low)) low++
            if (low > from) channel.ack({ fields: { deliveryTag: low - 1 } } as Message, true)
            if (handled === messages) resolve()
          }
          const take = async (message: ConsumeMessage): Promise<void> => {
            await handler(JSON.parse(message.content.toString()) as Order)
            done.add(message.fields.deliveryTag)
            handled++
            if (due) return
            due = true
            setImmediate(flush)
          }
          channel.consume(queue, (message) => message !== null && void take(message)).catch(reject)
        })
      })
      if (sum === 0) throw new Error('nothing was handled')
      await connection.close()
      return sample
    })

/** 1,000 messages a second, one at a time; the middle and the 99th of 100 of the ways from send to handler. */
const paced = async (
  send: (id: number) => unknown,
  arrived: (take: (id: number) => void) => Promise<unknown>,
  count: number,
) => {
  const began = new Float64Array(count)
  const took: number[] = []
  let all = (): void => {}
  const done = new Promise<void>((resolve) => {
    all = resolve
  })
  await arrived((id) => {
    took.push(performance.now() - (began[id] as number))
    if (took.length === count) all()
  })
  const sample = await measured(count, async () => {
    const start = performance.now()
    for (let id = 0; id < count; id++) {
      const wait = start + id - performance.now()
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait))
      began[id] = performance.now()
      void send(id)
    }
    await done
  })
  const settled = took.slice(Math.floor(count / 10)).sort((a, b) => a - b)
  const at = (part: number): number => settled[Math.floor(part * settled.length)] as number
  return { ...sample, more: { 'ms p50': at(0.5), 'ms p99': at(0.99) } }
}

const latency: Block = (scale) =>
  inNamespace(async (namespace, url) => {
    const broker = await connected(url, namespace)
    const orders = ordersOf()
    const producer = broker.producer()
    const sample = await paced(
      (id) => producer.send(orders, orderOf(id)),
      (take) => broker.consume(orders, { group: 'bench', window: 100 }, async ({ body }) => take(body.id)),
      Math.ceil(6_000 * scale),
    )
    await broker.close()
    return sample
  })

const rawLatency: Block = (scale) =>
  inNamespace(async (namespace, url) => {
    const [sending, reading] = [await connect(url, { noDelay: true }), await connect(url, { noDelay: true })]
    const channel = await sending.createConfirmChannel()
    const queue = await rawQueue(channel, namespace)
    const consumer = await reading.createChannel()
    await consumer.prefetch(100)
    const sample = await paced(
      (id) => channel.publish('', queue, bytesOf(id), { persistent: true }, () => {}),
      (take) =>
        consumer.consume(queue, (message) => {
          if (message === null) return
          take((JSON.parse(message.content.toString()) as Order).id)
          consumer.ack(message)
        }),
      Math.ceil(6_000 * scale),
    )
    await Promise.all([sending.close(), reading.close()])
    return sample
  })

/** Works with a peer on a queue like that of the raw rows. */
const withPeer = <T>(open: OpenPeer, work: (peer: Peer) => Promise<T>): Promise<T> =>
  inNamespace(async (namespace, url) => {
    installPeers()
    const connection = await connect(url)
    const queue = await rawQueue(await connection.createChannel(), namespace)
    await connection.close()
    const peer = await open(url, queue)
    const result = await work(peer)
    await peer.close()
    return result
  })

const sendByPeer = async (peer: Peer, count: number): Promise<void> => {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await peer.send(orderOf(next++))
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

const sentByPeer =
  (open: OpenPeer): Block =>
  (scale) =>
    withPeer(open, async (peer) => {
      const messages = Math.ceil(sends * scale)
      await sendByPeer(peer, warmUp)
      return measured(messages, () => sendByPeer(peer, messages))
    })

const consumedByPeer =
  (open: OpenPeer): Block =>
  (scale) =>
    withPeer(open, async (peer) => {
      const messages = Math.ceil(reads * scale)
      await sendByPeer(peer, messages)
      return measured(
        messages,
        () =>
          new Promise<void>((resolve, reject) => {
            let handled = 0
            const handler = async (): Promise<void> => {
              if (++handled === messages) resolve()
            }
            peer.consume(handler, prefetch).catch(reject)
          }),
      )
    })

const latencyOf =
  (open: OpenPeer): Block =>
  (scale) =>
    withPeer(open, (peer) =>
      paced(
        (id) => peer.send(orderOf(id)),
        (take) => peer.consume(async ({ id }) => take(id), 100),
        Math.ceil(6_000 * scale),
      ),
    )

const lean = (): Options.Publish => ({ persistent: true })
/** What an SDK adds: the table of four headers is one object, encoded for each message. */
const full = (): Options.Publish => ({
  persistent: true,
  messageId: '01a1fdaa-2854-7000-b6a1-3dd77d3a2ea5',
  timestamp: 1_790_000_000,
  type: 'order.created',
  headers: { 'x-tenant': 'acme', 'x-source': 'shop', 'x-version': '3', 'x-trace': '00-4bf92f3577b34da6' },
})
const headers = { tenant: 'acme', source: 'shop', version: '3', trace: '00-4bf92f3577b34da6' }

const sends = 100_000
const reads = 100_000

const rows: readonly Case[] = [
  {
    what: 'RabbitMQ send, 1,000 callers, confirmed, persistent, quorum, 256 B, without headers',
    posthorn: sending(sends),
    reference: { name: 'amqplib, window of 1,000 confirms', block: sentByHand(sends, lean) },
    goals: [
      { id: 'G1.raw', unit: 'msg/s', atLeast: 0.95 },
      { id: 'G1.cpu', unit: 's CPU/100k', atMost: 1.35 },
    ],
  },
  {
    what: 'the same with id, time, type and four headers',
    posthorn: sending(sends, { headers }),
    reference: { name: 'amqplib, window of 1,000 confirms', block: sentByHand(sends, full) },
    goals: [
      { id: 'G2.raw', unit: 'msg/s', atLeast: 0.95 },
      { id: 'G2.cpu', unit: 's CPU/100k', atMost: 1.15 },
    ],
  },
  {
    what: 'RabbitMQ consume, at least once, async handler, prefetch 500, quorum',
    posthorn: consuming(reads),
    reference: { name: 'amqplib, one acknowledgement per turn', block: consumedByHand(reads) },
    goals: [
      { id: 'G3.raw', unit: 'msg/s', atLeast: 0.9 },
      { id: 'G3.cpu', unit: 's CPU/100k', atMost: 1.4 },
    ],
  },
  {
    what: 'RabbitMQ from send to handler at 1,000/s',
    posthorn: latency,
    reference: { name: 'amqplib by hand', block: rawLatency },
    goals: [
      { id: 'G4.p50', unit: 'ms p50', atMost: 1.3 },
      { id: 'G4.p99', unit: 'ms p99', atMost: 2 },
    ],
  },
]

/** What is asked beside each peer: sends, receipts, and how late the slowest may be. */
const others: readonly {
  readonly name: string
  readonly open: OpenPeer
  readonly send: number
  readonly receive: number
  readonly late: number
}[] = [
  { name: 'amqp-connection-manager', open: acm, send: 0.95, receive: 1.3, late: 1 },
  { name: 'golevelup', open: golevelup, send: 0.95, receive: 1.3, late: 1 },
  { name: 'rabbitmq-client', open: rabbitmqClient, send: 0.95, receive: 1.3, late: 1 },
  { name: 'nest', open: nest, send: 1.2, receive: 2, late: 1 },
  { name: 'rascal', open: rascal, send: 1.9, receive: 1.3, late: 0.1 },
]

const [first, , third, fourth] = rows as readonly [Case, Case, Case, Case]
const besidePeers = others.flatMap(({ name, open, send, receive, late }): readonly Case[] => [
  {
    what: first.what,
    posthorn: first.posthorn,
    reference: { name, block: sentByPeer(open) },
    goals: [
      { id: `G1.${name}`, unit: 'msg/s', atLeast: send },
      { id: `G1.${name}.cpu`, unit: 's CPU/100k', atMost: name === 'nest' ? 0.6 : 1 },
    ],
  },
  {
    what: third.what,
    posthorn: third.posthorn,
    reference: { name, block: consumedByPeer(open) },
    goals: [
      { id: `G3.${name}`, unit: 'msg/s', atLeast: receive },
      { id: `G3.${name}.cpu`, unit: 's CPU/100k', atMost: 1 },
    ],
  },
  {
    what: fourth.what,
    posthorn: fourth.posthorn,
    reference: { name, block: latencyOf(open) },
    goals: [{ id: `G4.${name}`, unit: 'ms p99', atMost: late }],
  },
])

export const { cases, peers, prepare }: BenchFile = {
  cases: rows,
  peers: besidePeers,
  async prepare() {
    await ensure('rabbitmq')
    return async () => {}
  },
}
