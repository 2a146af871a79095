import type { Handler } from '@posthorn/inversify'
import type { Delivery, Producer, Store } from 'posthorn'
import { orderEvents, refunds, timeoutId, timeouts } from './messages.ts'
import { timeoutMs } from './settings.ts'
import { move, tell } from './tables.ts'

/** Places orders. The row, the event about it and its time-out are in one transaction: all of them, or none. */
export class PlaceOrder {
  readonly #store: Store
  readonly #producer: Producer
  constructor(store: Store, producer: Producer) {
    this.#store = store
    this.#producer = producer
  }

  async place(orderId: string): Promise<void> {
    const now = Date.now()
    await this.#store.transaction(async (tx) => {
      await tx.query('insert into orders values ($1, $2, $3, $4)', [orderId, 'pending', now, now + timeoutMs])
      await this.#producer.send(orderEvents, { orderId, what: 'placed' }, { tx, id: `placed-${orderId}` })
      await this.#producer.send(timeouts, { orderId }, { tx, id: timeoutId(orderId), delayMs: timeoutMs })
      await tell(tx, orderId, 'sent', `placed; time-out held for ${timeoutMs / 1_000} s`)
    })
  }
}

/** A payment has been taken: the order is paid, or the money goes back. */
export class OrderPaid implements Handler<{ orderId: string }> {
  readonly #producer: Producer
  constructor(producer: Producer) {
    this.#producer = producer
  }

  async handle({ body: { orderId }, tx }: Delivery<{ orderId: string }>): Promise<void> {
    if (tx === undefined) throw new Error('needs the inbox’s transaction')
    if (await move(tx, orderId, 'pending', 'paid')) {
      const answer = await this.#producer.cancel({ id: timeoutId(orderId), topic: timeouts.name }, { tx })
      await this.#producer.send(orderEvents, { orderId, what: 'paid' }, { tx, id: `paid-${orderId}` })
      await tell(tx, orderId, 'paid', `time-out: ${answer}`)
    } else {
      await this.#producer.send(refunds, { orderId }, { tx, id: `refund-${orderId}` })
      await tell(tx, orderId, 'late payment', 'the order is no longer waiting: refund')
    }
  }
}

/** The time is over: an order that still waits is cancelled. */
export class OrderTimedOut implements Handler<{ orderId: string }> {
  readonly #producer: Producer
  constructor(producer: Producer) {
    this.#producer = producer
  }

  async handle({ body: { orderId }, tx }: Delivery<{ orderId: string }>): Promise<void> {
    if (tx === undefined) throw new Error('needs the inbox’s transaction')
    if (!(await move(tx, orderId, 'pending', 'cancelled'))) return
    await this.#producer.send(orderEvents, { orderId, what: 'cancelled' }, { tx, id: `cancelled-${orderId}` })
    await tell(tx, orderId, 'timed out', 'not paid in time')
  }
}
