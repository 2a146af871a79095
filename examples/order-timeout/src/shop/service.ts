import type { EffectDelivery } from 'posthorn'

/** A service that listens. What it writes in `tx`, what it sends in `tx` and the inbox row that drops a duplicate are one commit. */
export interface Service<T> {
  handle(delivery: EffectDelivery<T>): Promise<void>
}
