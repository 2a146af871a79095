// The RabbitMQ rows by amqplib alone, tuned.
import { type Channel, type ConfirmChannel, type ConsumeMessage, connect, type Message, type Options } from 'amqplib'
import type { Block } from '../harness/case.ts'
import { measured, type Order, orderOf } from './measuring.ts'
import { paced } from './paced.ts'
import { callers, fresh, inNamespace, prefetch, thousandASecond, warmUp } from './rabbitmq-ground.ts'

const bytesOf = (id: number): Buffer => Buffer.from(JSON.stringify(orderOf(id)))

/** Properties of who wants none. */
export const lean = (): Options.Publish => ({ persistent: true })
/** What an SDK adds: the table of four headers is one object, encoded for each message. */
export const full = (): Options.Publish => ({
  persistent: true,
  messageId: '01a1fdaa-2854-7000-b6a1-3dd77d3a2ea5',
  timestamp: 1_790_000_000,
  type: 'order.created',
  headers: { 'x-tenant': 'acme', 'x-source': 'shop', 'x-version': '3', 'x-trace': '00-4bf92f3577b34da6' },
})

/** What names a message, and has it come back where it reaches no queue. */
export const routed = (): Options.Publish => ({
  persistent: true,
  mandatory: true,
  messageId: '01a1fdaa-2854-7000-b6a1-3dd77d3a2ea5',
  contentType: 'application/json',
})

/** A quorum queue with nothing else, as whoever tunes by hand would make it. */
export const rawQueue = async (channel: Channel, namespace: string): Promise<string> => {
  const queue = `${namespace}:orders@bench`
  await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
  return queue
}

/** Where messages are sent to. */
interface Target {
  readonly exchange: string
  readonly key: string
}

/** The queue itself, by the exchange that every broker has. */
const straight = (queue: string): Target => ({ exchange: '', key: queue })

/** A topic of its own, to which groups can be bound. */
const byExchange = async (channel: Channel, namespace: string, queue: string): Promise<Target> => {
  const target = { exchange: `${namespace}:orders`, key: '0' }
  await channel.assertExchange(target.exchange, 'direct')
  await channel.bindQueue(queue, target.exchange, target.key)
  return target
}

/** A window of confirms by callback, JSON per message. */
const publishing = (
  channel: ConfirmChannel,
  { exchange, key }: Target,
  count: number,
  properties: Options.Publish,
): Promise<void> =>
  new Promise((resolve, reject) => {
    let [next, confirmed] = [0, 0]
    const one = (): void => {
      channel.publish(exchange, key, bytesOf(next++), properties, (error: unknown) => {
        if (error !== null) return reject(error as Error)
        if (++confirmed === count) resolve()
        else if (next < count) one()
      })
    }
    for (let i = 0; i < Math.min(callers, count); i++) one()
  })

/** Sends, each confirmed: to the queue, or `routed` by an exchange. */
export const sentByHand =
  (count: number, properties: () => Options.Publish, how: 'straight' | 'routed' = 'straight'): Block =>
  (scale) =>
    inNamespace(async (namespace, url) => {
      const connection = await connect(url, { noDelay: true })
      const channel = await connection.createConfirmChannel()
      const queue = await rawQueue(channel, namespace)
      const target = how === 'routed' ? await byExchange(channel, namespace, queue) : straight(queue)
      await publishing(channel, target, warmUp, properties())
      const messages = Math.ceil(count * scale)
      const sample = await measured(messages, () => publishing(channel, target, messages, properties()))
      await connection.close()
      return sample
    })

/** Puts messages into a queue. */
export const filled = async (url: string, queue: string, count: number): Promise<void> => {
  const connection = await connect(url)
  const channel = await connection.createConfirmChannel()
  await publishing(channel, straight(queue), count, {
    ...lean(),
    messageId: fresh(),
    contentType: 'application/json',
  })
  await connection.close()
}

/** An async handler per message; one acknowledgement per turn, up to the lowest that is not done. */
export const consumedByHand =
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

/** From send to handler. */
export const rawLatency: Block = (scale) =>
  inNamespace(async (namespace, url) => {
    const [sending, reading] = [await connect(url, { noDelay: true }), await connect(url, { noDelay: true })]
    const channel = await sending.createConfirmChannel()
    const queue = await rawQueue(channel, namespace)
    const consumer = await reading.createChannel()
    await consumer.prefetch(100)
    const sample = await paced(
      thousandASecond(scale),
      (id) => channel.publish('', queue, bytesOf(id), { persistent: true }, () => {}),
      (take) =>
        consumer.consume(queue, (message) => {
          if (message === null) return
          take((JSON.parse(message.content.toString()) as Order).id)
          consumer.ack(message)
        }),
    )
    await Promise.all([sending.close(), reading.close()])
    return sample
  })
