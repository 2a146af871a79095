// Kafka: sending and consuming through a broker of ours beside each client used by hand (G14 to G16), and the way from send to handler (G21).
import { ensure } from '@posthorn/brokers'
import type { Message } from 'kafkajs'
import type { BenchFile, Block, Case } from './harness/case.ts'
import { batching, rawSender } from './parts/kafka-by-hand.ts'
import { bytesOf, type Client, connected, native, onTopic, ordersOf } from './parts/kafka-ground.ts'
import { latencyRows } from './parts/kafka-latency.ts'
import { measured, type Order } from './parts/measuring.ts'
import { sendBy } from './parts/through.ts'

const callers = 1_000
const warmUp = 20_000

const sending =
  (client: Client, count: number, partitions: number): Block =>
  (scale) =>
    onTopic(partitions, async (namespace) => {
      const broker = await connected(client, namespace)
      const orders = ordersOf(partitions)
      await sendBy(broker, orders, warmUp, callers)
      const messages = Math.ceil(count * scale)
      const sample = await measured(messages, () => sendBy(broker, orders, messages, callers))
      await broker.close()
      return sample
    })

const calling = async (count: number, one: (id: number) => Promise<unknown>): Promise<void> => {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await one(next++)
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

const byHand =
  (client: Client, count: number, batched: boolean): Block =>
  (scale) =>
    onTopic(1, async (_, name) => {
      const { send, close } = await rawSender(client, name)
      const one = batched ? batching(send) : (value: Buffer) => send([value])
      await calling(batched ? warmUp : 1_000, (id) => one(bytesOf(id)))
      const messages = Math.ceil(count * scale)
      const sample = await measured(messages, () => calling(messages, (id) => one(bytesOf(id))))
      await close()
      return sample
    })

/** Puts messages there by hand, before the clock. */
const filled = async (name: string, count: number, partitions: number): Promise<void> => {
  const producer = (await native()).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let sent = 0; sent < count; sent += 2_000) {
    const messages = Array.from({ length: Math.min(2_000, count - sent) }, (_, n): Message => {
      return { value: bytesOf(sent + n), partition: n % partitions, headers: { 'content-type': 'application/json' } }
    })
    await producer.send({ topic: name, acks: -1, messages })
  }
  await producer.disconnect()
}

/** Counts what is handled; `reached` resolves when it is so many in all. */
const handledCount = () => {
  let handled = 0
  let wanted = Number.POSITIVE_INFINITY
  let wake = (): void => {}
  return {
    add(count: number): void {
      handled += count
      if (handled >= wanted) wake()
    },
    reached: (count: number): Promise<void> =>
      new Promise((resolve) => {
        if (handled >= count) return resolve()
        wanted = count
        wake = resolve
      }),
    get handled() {
      return handled
    },
  }
}

/** What `start` handles of so many messages, from when the group has been joined and the code is warm. */
const consumed = async (
  messages: number,
  name: string,
  start: (handled: (count: number) => void) => Promise<unknown>,
) => {
  const warm = Math.min(warmUp, messages)
  await filled(name, messages + warm, 1)
  const count = handledCount()
  await start(count.add)
  await count.reached(warm)
  const before = count.handled
  return measured(messages + warm - before, () => count.reached(messages + warm))
}

const consuming =
  (client: Client, count: number, batched: boolean): Block =>
  (scale) =>
    onTopic(1, async (namespace, name) => {
      const broker = await connected(client, namespace)
      const orders = ordersOf(1)
      const sample = await consumed(Math.ceil(count * scale), name, (handled) =>
        batched
          ? broker.consume(
              orders,
              { group: 'bench', window: 4_000, batch: { size: 1_000, waitMs: 5 } },
              async ({ length }) => handled(length),
            )
          : broker.consume(orders, { group: 'bench', window: 1_000, concurrency: 64 }, async () => handled(1)),
      )
      await broker.close()
      return sample
    })

type Consumed = { readonly value: Buffer | null }

const consumedByHand =
  (count: number, each: 'batch' | 'message'): Block =>
  (scale) =>
    onTopic(1, async (namespace, name) => {
      const consumer = (await native()).consumer({ groupId: namespace, maxWaitTimeInMs: 100 })
      await consumer.connect()
      await consumer.subscribe({ topics: [name], fromBeginning: true })
      let sum = 0
      const take = ({ value }: Consumed): void => {
        sum += (JSON.parse((value as Buffer).toString()) as Order).id
      }
      const sample = await consumed(Math.ceil(count * scale), name, (handled) =>
        consumer.run(
          each === 'batch'
            ? {
                eachBatch: async ({ batch: { messages } }) => {
                  messages.forEach(take)
                  handled(messages.length)
                },
              }
            : {
                autoCommit: false,
                eachMessage: async ({ message, topic: from, partition }) => {
                  take(message)
                  handled(1)
                  await consumer.commitOffsets([{ topic: from, partition, offset: `${Number(message.offset) + 1}` }])
                },
              },
        ),
      )
      await consumer.disconnect()
      if (sum === 0) throw new Error('nothing was handled')
      return sample
    })

const sends = 200_000
const reads = 200_000
const messagesPerSecond = 'msg/s'

const rows: readonly Case[] = [
  {
    what: 'Kafka send by kafkajs, 1,000 callers, acks=all, idempotent, 256 B',
    posthorn: sending('kafkajs', sends, 1),
    reference: { name: 'kafkajs, batched by hand', block: byHand('kafkajs', sends, true) },
    goals: [{ id: 'G14.raw', unit: messagesPerSecond, atLeast: 0.9 }],
  },
  {
    what: 'the same beside one send per message',
    posthorn: sending('kafkajs', sends, 1),
    reference: { name: 'kafkajs, one send each', block: byHand('kafkajs', 10_000, false) },
    goals: [{ id: 'G14.naive', unit: messagesPerSecond, atLeast: 30 }],
  },
  {
    what: 'Kafka send by @platformatic/kafka, 1,000 callers, acks=all, idempotent, 256 B',
    posthorn: sending('platformatic', sends, 1),
    reference: { name: '@platformatic/kafka, batched by hand', block: byHand('platformatic', sends, true) },
    goals: [{ id: 'G15.raw', unit: messagesPerSecond, atLeast: 0.7 }],
  },
  {
    what: 'the same beside ours by kafkajs',
    posthorn: sending('platformatic', sends, 1),
    reference: { name: 'ours by kafkajs', block: sending('kafkajs', sends, 1) },
    goals: [{ id: 'G15.kafkajs', unit: messagesPerSecond, atLeast: 1.8 }],
  },
  {
    what: 'Kafka consume by kafkajs, at least once, async handler',
    posthorn: consuming('kafkajs', reads, false),
    reference: { name: 'kafkajs eachBatch', block: consumedByHand(reads, 'batch') },
    goals: [{ id: 'G16.raw', unit: messagesPerSecond, atLeast: 0.6 }],
  },
  {
    what: 'the same with a batch handler',
    posthorn: consuming('kafkajs', reads, true),
    reference: { name: 'kafkajs eachBatch', block: consumedByHand(reads, 'batch') },
    goals: [{ id: 'G16.batch', unit: messagesPerSecond, atLeast: 0.85 }],
  },
  {
    what: 'the same beside a commit per message',
    posthorn: consuming('kafkajs', reads, false),
    reference: { name: 'kafkajs eachMessage, each committed', block: consumedByHand(5_000, 'message') },
    goals: [{ id: 'G16.naive', unit: messagesPerSecond, atLeast: 1.2 }],
  },
  {
    what: 'Kafka consume by @platformatic/kafka beside ours by kafkajs',
    posthorn: consuming('platformatic', reads, false),
    reference: { name: 'ours by kafkajs', block: consuming('kafkajs', reads, false) },
    goals: [{ id: 'G16.platformatic', unit: messagesPerSecond, atLeast: 1 }],
  },
  ...latencyRows,
]

export const { cases, prepare }: BenchFile = {
  cases: rows,
  async prepare() {
    await ensure('kafka')
    return async () => {}
  },
}
