import type { MessagingError } from '../errors.ts'

/** Hears that deliveries were taken back. */
export interface LossListener {
  lost(loss: Loss): void
}

/**
 * Deliveries that the broker takes back together: one message, what a claim took, a partition. Two words and no event target, because some
 * brokers have one per message.
 */
export class Loss {
  /** Why, from the moment it has happened. */
  reason: MessagingError | undefined = undefined
  #listener: LossListener | undefined = undefined

  /** Tells this one when it happens; who asks after that looks at `reason`. */
  hear(listener: LossListener): void {
    this.#listener = listener
  }

  /** They are no longer in the hands of who received them; the first reason counts. */
  lose(reason: MessagingError): void {
    if (this.reason !== undefined) return
    this.reason = reason
    this.#listener?.lost(this)
  }
}
