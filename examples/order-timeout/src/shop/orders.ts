import type { Producer, Store } from 'posthorn'
import { timeoutMs } from '../settings.ts'
import { type AboutOrder, idOf, orderEvents, refunds, timeouts } from './messages.ts'
import type { Service } from './service.ts'
import { move, tell } from './tables.ts'

/** Places orders. The row, the event about it and its time-out are in one transaction: all of them, or none. */
export class PlaceOrder {
  readonly #store: Store
  readonly #producer: Producer
  constructor(store: Store, producer: Producer) {
    this.#store = store
    this.#producer = producer
  }

  async place(orderId: string, note: string): Promise<void> {
    const now = Date.now()
    await this.#store.transaction(async (tx) => {
      await tx.query('insert into orders values ($1, $2, $3, $4, $5)', [orderId, note, 'pending', now, now + timeoutMs])
      await this.#producer.send(orderEvents, { orderId, what: 'placed' }, { tx, id: idOf('placed', orderId) })
      await tell(tx, orderId, 'sent', 'placed')
      await this.#producer.send(timeouts, { orderId }, { tx, id: idOf('timeout', orderId), delayMs: timeoutMs })
      await tell(tx, orderId, 'held', `time-out, for ${timeoutMs / 1_000} s`)
    })
  }
}

/** A payment has been taken: the order is paid and its time-out cancelled, or the money goes back. */
export const orderPaid = (producer: Producer): Service<AboutOrder> => ({
  async handle({ body: { orderId }, tx }) {
    if (await move(tx, orderId, 'pending', 'paid')) {
      const answer = await producer.cancel({ id: idOf('timeout', orderId), topic: timeouts.name }, { tx })
      await producer.send(orderEvents, { orderId, what: 'paid' }, { tx, id: idOf('paid', orderId) })
      await tell(tx, orderId, 'paid', `time-out: ${answer}`)
    } else {
      await producer.send(refunds, { orderId }, { tx, id: idOf('refund', orderId) })
      await tell(tx, orderId, 'paid too late', 'the money goes back')
    }
  },
})

/** The time is over: an order that still waits is cancelled. */
export const orderTimedOut = (producer: Producer): Service<AboutOrder> => ({
  async handle({ body: { orderId }, tx }) {
    if (!(await move(tx, orderId, 'pending', 'cancelled'))) return
    await producer.send(orderEvents, { orderId, what: 'cancelled' }, { tx, id: idOf('cancelled', orderId) })
    await tell(tx, orderId, 'timed out', 'not paid in time')
  },
})
