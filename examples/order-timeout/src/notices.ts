import type { EffectDelivery } from 'posthorn'
import { takeBreakage } from './breakage.ts'
import type { OrderEvent } from './messages.ts'
import type { Service } from './service.ts'
import { tell } from './tables.ts'

/** Tells the customer, by one channel; mail and SMS are groups of their own, side by side. */
export class Notice implements Service<OrderEvent> {
  readonly #channel: 'mail' | 'sms'
  constructor(channel: 'mail' | 'sms') {
    this.#channel = channel
  }
  async handle({ body: { orderId, what }, tx }: EffectDelivery<OrderEvent>): Promise<void> {
    if (this.#channel === 'sms' && takeBreakage('sms')) throw new Error('the SMS gateway is down')
    await tx.query('insert into notices values ($1, $2, $3)', [orderId, what, this.#channel])
    await tell(tx, orderId, 'handled', `${this.#channel}: ${what}`)
  }
}
