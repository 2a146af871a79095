// The RabbitMQ rows through a broker of ours.
import { connectAdapter, type SendOptions, type Topic, topic } from '@posthorn/core'
import { rabbitmq } from '@posthorn/rabbitmq'
import type { Block } from '../harness/case.ts'
import { measured, type Order, orderOf } from './measuring.ts'
import { paced } from './paced.ts'
import { filled } from './rabbitmq-by-hand.ts'
import { callers, inNamespace, prefetch, thousandASecond, warmUp } from './rabbitmq-ground.ts'
import { counting, sendBy } from './through.ts'

const ordersOf = (): Topic<Order> => topic<Order>('orders', { groups: ['bench'] })
const connected = (url: string, namespace: string) => connectAdapter(rabbitmq({ url }), { log: false, namespace })

/** Sends by many callers, each confirmed. */
export const sending =
  (count: number, options?: SendOptions): Block =>
  (scale) =>
    inNamespace(async (namespace, url) => {
      const broker = await connected(url, namespace)
      const orders = ordersOf()
      await sendBy(broker, orders, warmUp, callers, options)
      const messages = Math.ceil(count * scale)
      const sample = await measured(messages, () => sendBy(broker, orders, messages, callers, options))
      await broker.close()
      return sample
    })

/** Handles what lies in the queue. */
export const consuming =
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

/** From send to handler. */
export const latency: Block = (scale) =>
  inNamespace(async (namespace, url) => {
    const broker = await connected(url, namespace)
    const orders = ordersOf()
    const producer = broker.producer()
    const sample = await paced(
      thousandASecond(scale),
      (id) => producer.send(orders, orderOf(id)),
      (take) => broker.consume(orders, { group: 'bench', window: 100 }, async ({ body }) => take(body.id)),
    )
    await broker.close()
    return sample
  })
