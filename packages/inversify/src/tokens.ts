import type { Broker, Delivery, Producer, Store, Transaction } from '@posthorn/core'
import type { ServiceIdentifier } from 'inversify'

/** What to inject, by name. The last two are there while a message is handled, and differ for each. */
export const tokens: {
  readonly broker: ServiceIdentifier<Broker>
  readonly producer: ServiceIdentifier<Producer>
  readonly store: ServiceIdentifier<Store>
  readonly delivery: ServiceIdentifier<Delivery>
  /** The inbox's transaction; undefined where the subscription has none. */
  readonly transaction: ServiceIdentifier<Transaction | undefined>
} = {
  broker: Symbol.for('posthorn.broker'),
  producer: Symbol.for('posthorn.producer'),
  store: Symbol.for('posthorn.store'),
  delivery: Symbol.for('posthorn.delivery'),
  transaction: Symbol.for('posthorn.transaction'),
}
