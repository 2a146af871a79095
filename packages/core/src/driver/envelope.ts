import type { DeadLetter } from '../face/operating.ts'
import type { Loss } from './loss.ts'

/** One failed start of a handler; times are epoch ms. */
export interface Failure {
  readonly attempt: number
  readonly at: number
  readonly error: string
}

/** Why a message lies on a shelf, as it travels with the message. */
export interface Letter {
  readonly reason: DeadLetter['reason']
  readonly error: string | undefined
  readonly attempts: number
  /** Epoch ms. */
  readonly at: number
}

/**
 * A message as it is on both sides of the seam. What the broker has a native place for goes there; the rest are `ph-`
 * headers, which `wire.ts` writes and reads. A driver keeps every field through a round trip.
 */
export interface Envelope {
  /** Ours always; derived from the position (stable on redelivery) where a stranger sent none. */
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly tag: string | undefined
  /** The user's; no name in it begins with `ph-`. May have a null prototype. */
  readonly headers: Readonly<Record<string, string>>
  /** The bytes as the codec made them; nothing around them. */
  readonly body: Uint8Array
  readonly contentType: string | undefined
  /** Epoch ms by the sender's clock. */
  readonly sentAt: number | undefined
  /** Epoch ms; core drops what is older before the handler, whatever the broker does. */
  readonly expiresAt: number | undefined
  /** 0 (least) to 9. */
  readonly priority: number | undefined
  /** Version of the body, for upcasters. */
  readonly version: number | undefined
  /** Raised whenever we publish this message again ourselves: retry copy, redrive, release. Dedupe is by (topic, id, generation, group). */
  readonly generation: number
  /** How many starts of a handler failed so far. */
  readonly failures: number
  /** The last of them, bounded. */
  readonly history: readonly Failure[]
  /** Starts in which nothing else ran and that were never settled; see `Source.mark`. */
  readonly lone: number
  readonly replyTo: string | undefined
  readonly correlationId: string | undefined
}

/** What `Driver.send` takes. */
export interface Dispatch extends Envelope {
  /** Reaches this group alone: a retry copy, a redrive, a release. */
  readonly group?: string | undefined
  /** Only where the user named one; else the driver hashes the key with `partitionOf`. */
  readonly partition?: number | undefined
  /** Epoch ms before which no consumer may get it. Set only as far as the traits' `delay` goes. */
  readonly notBefore?: number | undefined
  /** Goes on the shelf of dead letters of `topic` and `group` (undefined: of no group), to no consumer. */
  readonly letter?: Letter | undefined
}

/** What `Source.receive` gives. */
export interface Arrival extends Envelope {
  /** Names this delivery to `settle`, `extend` and `mark`; opaque to all but the source. */
  readonly token: unknown
  /** The broker's own count, 1 on the first delivery; undefined if it does not count. */
  readonly deliveryCount: number | undefined
  readonly position: string | undefined
  /** Rises with each hand-over of this message's key or lane. */
  readonly fence: bigint | undefined
  /** Tells when the broker takes the delivery back: a lost lease, a rebalance. Shared by what is taken back together. */
  readonly lost: Loss | undefined
  /** Whether its id may repeat, since no sender gave it, or nobody knows what it means there: without a `position`, `idempotent()` asks for `by`. */
  readonly foreign: boolean
}
