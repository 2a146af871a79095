// Kafka from send to handler at a pace (G21), through a broker of ours and by hand. Both sides batch what comes while a request is out, fetch with
// the same wait, parse the body, and commit on the same timer.
import type { Block, Case } from '../harness/case.ts'
import { batching, rawSender } from './kafka-by-hand.ts'
import { address, bytesOf, type Client, connected, native, onTopic, ordersOf } from './kafka-ground.ts'
import { type Order, orderOf } from './measuring.ts'
import { type Pace, paced } from './paced.ts'

const fiveHundredASecond = (scale: number): Pace => ({ everyMs: 2, count: Math.ceil(3_000 * scale) })

/** As ours. */
const maxWaitMs = 100
const commitEveryMs = 500

const ours =
  (client: Client): Block =>
  (scale) =>
    onTopic(1, async (namespace) => {
      const broker = await connected(client, namespace)
      const orders = ordersOf(1)
      const producer = broker.producer()
      const sample = await paced(
        fiveHundredASecond(scale),
        (id) => producer.send(orders, orderOf(id)),
        (take) => broker.consume(orders, { group: 'bench', concurrency: 16 }, async ({ body }) => take(body.id)),
      )
      await broker.close()
      return sample
    })

/** Resolves when what is sent from now on is handled; the answer ends it. */
type Receiving = (group: string, name: string, take: (id: number) => void) => Promise<() => Promise<unknown>>

const idIn = (value: Buffer | null): number => (JSON.parse(String(value)) as Order).id

const byKafkajs: Receiving = async (group, name, take) => {
  const consumer = (await native()).consumer({ groupId: group, maxWaitTimeInMs: maxWaitMs })
  await consumer.connect()
  await consumer.subscribe({ topics: [name], fromBeginning: true })
  const joined = new Promise<void>((resolve) => void consumer.on('consumer.group_join', () => resolve()))
  let next = 0
  await consumer.run({
    // Its own way commits after each fetch, before the next.
    autoCommit: false,
    eachMessage: async ({ message }) => {
      take(idIn(message.value))
      next = Number(message.offset) + 1
    },
  })
  await joined
  const timer = setInterval(
    () => void consumer.commitOffsets([{ topic: name, partition: 0, offset: `${next}` }]),
    commitEveryMs,
  )
  return () => {
    clearInterval(timer)
    return consumer.disconnect()
  }
}

const byPlatformatic: Receiving = async (group, name, take) => {
  const { Consumer } = await import('@platformatic/kafka')
  const consumer = new Consumer({ clientId: 'bench', bootstrapBrokers: [await address()], groupId: group })
  const stream = await consumer.consume({
    topics: [name],
    mode: 'committed',
    fallbackMode: 'earliest',
    maxWaitTime: maxWaitMs,
    autocommit: commitEveryMs,
  })
  stream.on('data', ({ value }) => take(idIn(value)))
  return async () => {
    await stream.close()
    await consumer.close()
  }
}

const byHand =
  (client: Client, receiving: Receiving): Block =>
  (scale) =>
    onTopic(1, async (namespace, name) => {
      const { send, close } = await rawSender(client, name)
      const one = batching(send)
      let end: (() => Promise<unknown>) | undefined
      const sample = await paced(
        fiveHundredASecond(scale),
        (id) => one(bytesOf(id)),
        async (take) => {
          end = await receiving(namespace, name, take)
        },
      )
      await end?.()
      await close()
      return sample
    })

const row = (client: Client, name: string, receiving: Receiving): Case => ({
  what: `Kafka from send to handler at 500/s, by ${name}`,
  posthorn: ours(client),
  reference: { name: `${name} by hand`, block: byHand(client, receiving) },
  goals: [
    { id: `G21.${client}-p50`, unit: 'ms p50', atMost: 1, plus: 0.2 },
    { id: `G21.${client}-p99`, unit: 'ms p99', atMost: 2 },
  ],
})

/** The rows of both clients. */
export const latencyRows: readonly Case[] = [
  row('kafkajs', 'kafkajs', byKafkajs),
  row('platformatic', '@platformatic/kafka', byPlatformatic),
]
