import { topic } from 'posthorn'

/** About one order. */
export interface AboutOrder {
  readonly orderId: string
}
/** What happened to an order; all of one order are handled in order, orders run beside each other. */
export interface OrderEvent extends AboutOrder {
  readonly what: 'placed' | 'paid' | 'cancelled'
}
const key = ({ orderId }: AboutOrder): string => orderId

/** Read by stock, mail and SMS, each for itself. */
export const orderEvents = topic<OrderEvent>('shop.orders', { key, groups: ['stock', 'mail', 'sms'] })
/** The outside payment service took the money. */
export const payments = topic<AboutOrder>('shop.payments', { key, groups: ['orders'] })
/** Due when an order has waited long enough for its payment. */
export const timeouts = topic<AboutOrder>('shop.timeouts', { groups: ['orders'] })
/** Money to be given back: the payment came too late. */
export const refunds = topic<AboutOrder>('shop.refunds', { groups: ['payments'] })

/** Who reads what. */
export const subscriptions = [
  [orderEvents, 'stock'],
  [orderEvents, 'mail'],
  [orderEvents, 'sms'],
  [payments, 'orders'],
  [timeouts, 'orders'],
  [refunds, 'payments'],
] as const

/** A message's name follows from what it is about: sent twice it is one, and whoever takes the payment can cancel the time-out. */
export const idOf = (what: OrderEvent['what'] | 'timeout' | 'payment' | 'refund', orderId: string): string =>
  `${what}-${orderId}`

/** The order that a message is about. */
export const orderOf = (id: string): string => id.slice(id.indexOf('-') + 1)
