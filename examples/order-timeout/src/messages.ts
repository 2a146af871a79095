import { topic } from 'posthorn'

/** What happened to an order; all of one order are handled in order, orders run beside each other. */
export interface OrderEvent {
  readonly orderId: string
  readonly what: 'placed' | 'paid' | 'cancelled'
}

/** Read by stock, mail and SMS, each for itself. */
export const orderEvents = topic<OrderEvent>('shop.orders', {
  key: (event) => event.orderId,
  groups: ['stock', 'mail', 'sms'],
})

/** The outside payment service took the money. */
export const payments = topic<{ readonly orderId: string }>('shop.payments', {
  key: ({ orderId }) => orderId,
  groups: ['orders'],
})

/** Due when an order has waited long enough for its payment. */
export const timeouts = topic<{ readonly orderId: string }>('shop.timeouts', { groups: ['orders'] })

/** Money to be given back: the payment came too late. */
export const refunds = topic<{ readonly orderId: string }>('shop.refunds', { groups: ['payments'] })

/** Who reads what. */
export const subscriptions = [
  [orderEvents, 'stock'],
  [orderEvents, 'mail'],
  [orderEvents, 'sms'],
  [payments, 'orders'],
  [timeouts, 'orders'],
  [refunds, 'payments'],
] as const

/** A message about an order has a name that follows from it: whoever sends it twice has sent it once, and whoever takes the payment can cancel the time-out. */
export const idOf = (
  what: 'placed' | 'paid' | 'cancelled' | 'timeout' | 'payment' | 'refund',
  orderId: string,
): string => `${what}-${orderId}`

/** The order that a message is about. */
export const orderOf = (id: string): string => id.slice(id.indexOf('-') + 1)
