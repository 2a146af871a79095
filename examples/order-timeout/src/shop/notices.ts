import { takeBreakage } from '../demo/breakage.ts'
import type { OrderEvent } from './messages.ts'
import type { Service } from './service.ts'
import { tell } from './tables.ts'

/** Tells the customer, by one channel; mail and SMS are groups of their own, side by side. */
export const notice = (channel: 'mail' | 'sms'): Service<OrderEvent> => ({
  async handle({ body: { orderId, what }, tx }) {
    if (channel === 'sms' && takeBreakage('sms')) throw new Error('the SMS gateway is down')
    await tx.query('insert into notices values ($1, $2, $3)', [orderId, what, channel])
    await tell(tx, orderId, 'handled', `${channel}: ${what}`)
  },
})
