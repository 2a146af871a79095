// Messages through a whole broker of ours, counted.
import type { Adapter, Broker, SendOptions, Topic } from '@posthorn/core'
import { connectAdapter, topic } from '@posthorn/core'
import { type Order, orderOf } from './measuring.ts'

/** The topic of the benchmarks; with a key where lanes are asked for. */
export const ordersOf = (lanes: number): Topic<Order> =>
  topic<Order>('orders', {
    groups: ['bench'],
    ...(lanes === 0 ? {} : { key: (order: Order) => `key-${order.id % lanes}` }),
  })

/** A connected broker that says nothing. */
export const quiet = (adapter: Adapter): Promise<Broker> => connectAdapter(adapter, { log: false })

/** Sends so many orders by callers that each await their last one. */
export const sendBy = async (
  broker: Broker,
  orders: Topic<Order>,
  count: number,
  callers: number,
  options?: SendOptions,
): Promise<void> => {
  const producer = broker.producer({ buffer: 2 * callers })
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await producer.send(orders, orderOf(next++), options)
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

/** A consumer with an empty async handler. `reached(n)` resolves when it has handled `n` in all. */
export const counting = async (broker: Broker, orders: Topic<Order>, concurrency: number) => {
  let handled = 0
  let wanted = Number.POSITIVE_INFINITY
  let wake = (): void => {}
  const consumer = await broker.consume(orders, { group: 'bench', concurrency, window: 1_000 }, async () => {
    if (++handled >= wanted) wake()
  })
  return {
    consumer,
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
