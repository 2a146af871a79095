import type { Handler } from '@posthorn/inversify'
import type { Delivery } from 'posthorn'
import type { OrderEvent } from './messages.ts'
import { takeKnob, tell } from './tables.ts'

/** Tells the customer, by one channel; mail and SMS are groups of their own, side by side. */
export class Notice implements Handler<OrderEvent> {
  readonly #channel: 'mail' | 'sms'
  constructor(channel: 'mail' | 'sms') {
    this.#channel = channel
  }
  async handle({ body: { orderId, what }, tx }: Delivery<OrderEvent>): Promise<void> {
    if (tx === undefined) throw new Error('needs the inbox’s transaction')
    if (this.#channel === 'sms' && (await takeKnob(tx, 'sms-down'))) throw new Error('the SMS gateway is down')
    await tx.query('insert into notices values ($1, $2, $3)', [orderId, what, this.#channel])
    await tell(tx, orderId, this.#channel, what)
  }
}
