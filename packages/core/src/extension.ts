import type { EventBus } from './broker/events.ts'
import type { Clock } from './driver/clock.ts'
import type { Traits } from './driver/seam.ts'
import type { Backoff, ConsumeExtension, Middleware } from './face/extending.ts'
import type { Delivery, Guarantee, HandleBatch, Verdict } from './face/handling.ts'
import type { Ordering, Source } from './face/messages.ts'
import type { Explanation } from './face/operating.ts'
import type { Store } from './face/stores.ts'

/** What an extension of ours may know of the subscription that it is used in. */
export interface Subscribed {
  readonly broker: string
  readonly topic: string
  readonly group: string
  readonly store: Store | undefined
  readonly clock: Clock
  readonly traits: Traits
  /** Whether ids of its messages may repeat and nothing else tells them apart: the topic is somebody else's, and a queue has no positions. */
  readonly idsMayRepeat: boolean
  readonly guarantee: Guarantee
  readonly order: Ordering
  readonly window: number
  readonly replay: boolean
  /** Longest time for which a message may come back: retries and retention. */
  readonly horizonMs: number | undefined
  readonly batch: boolean
  readonly singleHost: boolean
  /** Aborts when the consumer is told to stop. */
  readonly stopping: AbortSignal
  readonly emit: EventBus['emit']
  readonly say: EventBus['say']
}

/** What an extension of ours may do to its consumer while it runs. */
export interface Wheel {
  /** As the user's own `pause`, beside it: the consumer goes on when nobody wants it to rest any more. */
  pause(): void
  resume(): void
  /** How many wait for a group; 0 where nobody knows it yet. */
  backlog(of: Source, group: string): Promise<number>
}

/** How many tries, how far apart; undefined `when` retries everything but `Unrecoverable`. */
export interface RetryPolicy {
  readonly attempts: number
  /** Tries made at once in the lane before the broker's delayed redelivery is asked. */
  readonly inPlace: number | undefined
  readonly backoff: Backoff
  readonly when: ((error: unknown) => boolean) | undefined
}

/**
 * What a `ConsumeExtension` of ours carries beside its middleware. A plain one has none of it: then core composes its `consume` as
 * it is. Found under a symbol, so that the public face stays one shape.
 */
export interface Inner {
  /** Made anew for each subscription, at start: the place to check and refuse. */
  readonly bind?: ((subscribed: Subscribed) => Middleware<Delivery, Verdict>) | undefined
  /** Of a batch handler, where nothing stands further inside: around all that is handled at once, instead of around each message. */
  readonly bindBatch?:
    | ((subscribed: Subscribed) => ((next: HandleBatch<unknown>) => HandleBatch<unknown>) | undefined)
    | undefined
  readonly retry?: RetryPolicy | undefined
  /** How long an inbox remembers. */
  readonly windowMs?: number | undefined
  /** What was sent last starts first; what does not fit into the hand is put aside for so long at most, where the broker can. */
  readonly newest?: { readonly asideMs: number } | undefined
  /** Gives `delivery.tx`. */
  readonly transactional?: boolean | undefined
  /** One line of `explain()` each. */
  readonly promises?: ((subscribed: Subscribed) => Explanation['promises']) | undefined
  /** Called when the consumer has started. */
  readonly steer?: ((subscribed: Subscribed, wheel: Wheel) => void) | undefined
  /** Innermost first: `idempotent` 10 stands inside whatever else; user extensions are 50, limits 70, retry 90. */
  readonly rank?: number | undefined
}

const key = Symbol.for('posthorn.extension')

/** An extension with inner parts. */
export function extension(name: string, consume: Middleware<Delivery, Verdict>, inner: Inner): ConsumeExtension {
  return Object.defineProperty({ name, consume }, key, { value: inner })
}

/** The inner parts of an extension; empty for a user's own. */
export function innerOf(use: ConsumeExtension): Inner {
  return (use as { readonly [key]?: Inner })[key] ?? {}
}

/** Whether an extension is one of ours, which passes on what it was given. */
export function isOwn(use: ConsumeExtension): boolean {
  return key in use
}
