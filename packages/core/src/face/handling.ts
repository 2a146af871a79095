// Consumers, deliveries and verdicts.
import type { Capabilities } from './connecting.ts'
import type { ConsumeExtension } from './extending.ts'
import type { Filter, MessageHeaders, Ordering, StandardSchema } from './messages.ts'
import type { Producer } from './sending.ts'
import type { Transaction } from './stores.ts'

export interface Delivery<T = unknown> {
  readonly body: T
  readonly id: string
  readonly key: string | undefined
  readonly tag: string | undefined
  readonly headers: MessageHeaders
  readonly topic: string
  readonly group: string
  /** 1 on the first start of a handler; counted durably where `explain()` says so. */
  readonly attempt: number
  /** The broker's own count: rises for deliveries that never started. */
  readonly deliveryCount: number | undefined
  /** Rises with each hand-over of this key or lane: fences effects outside. */
  readonly fence: bigint | undefined
  readonly position: string | undefined
  readonly sentAt: Date | undefined
  /** Aborts on stop, time-out, or when the broker takes the message back. */
  readonly signal: AbortSignal
  /** The inbox's transaction, where `idempotent()` has one. Never `tx?.query(...)`, which skips the effect: say `guarantee: 'exactly-once-effects'`, and it is there. */
  readonly tx: Transaction | undefined
  /** With `guarantee: 'exactly-once-sends'`: what is sent here and the acknowledgement happen together. */
  readonly producer: Producer
  readonly replay: boolean
}
export interface ManualDelivery<T = unknown> extends Delivery<T> {
  settle(verdict: Verdict): Promise<'ok' | 'stale' | 'unknown'>
}
/** With `guarantee: 'exactly-once-effects'`, which is refused at start where no transaction can be had. */
export interface EffectDelivery<T = unknown> extends Delivery<T> {
  readonly tx: Transaction
}
export type Verdict =
  | { readonly verdict: 'ack'; readonly result?: unknown }
  | { readonly verdict: 'nack'; readonly afterMs?: number | undefined }
  | { readonly verdict: 'reject'; readonly reason: string }
export type Handle<T> = (delivery: Delivery<T>) => Promise<Verdict | void>
/** One verdict for all, or a list of exactly one each. A thrown error fails all that have no verdict. */
export type HandleBatch<T> = (
  deliveries: readonly Delivery<T>[],
) => Promise<Verdict | readonly (Verdict | void)[] | void>
export type DeliveryOf<T, G> = [G] extends ['exactly-once-effects'] ? EffectDelivery<T> : Delivery<T>
/** At most once is acknowledged before the handler: there is nothing left to decide. */
export type VerdictOf<G> = [G] extends ['at-most-once'] ? void : Verdict | void
/** `never` where only the run knows whether there is a `batch`. */
export type HandlerOf<T, B, G> = [B] extends [undefined]
  ? (delivery: DeliveryOf<T, G>) => Promise<VerdictOf<G>>
  : [B] extends [BatchOptions]
    ? (deliveries: readonly DeliveryOf<T, G>[]) => Promise<VerdictOf<G> | readonly VerdictOf<G>[]>
    : never

export type Guarantee =
  | 'at-most-once'
  | 'at-least-once'
  /** Inbox row and effect in `tx`. */
  | 'exactly-once-effects'
  /** What `delivery.producer` sends and the acknowledgement in one transaction of the broker. */
  | 'exactly-once-sends'
export interface SubscribeOptions {
  readonly order?: Ordering | undefined
  /** Most deliveries taken and not settled. */
  readonly window?: number | undefined
  readonly filter?: Filter | undefined
  /** Where a new group starts; default 'earliest'. */
  readonly from?: 'earliest' | 'latest' | { readonly time: Date } | { readonly position: string } | undefined
  readonly signal?: AbortSignal | undefined
}
export interface HandleOptions extends SubscribeOptions {
  readonly onFailure?: 'skip' | 'park' | 'block' | undefined
  readonly concurrency?:
    | number
    | { readonly process?: number | undefined; readonly group?: number | undefined; readonly key?: number | undefined }
    | undefined
  readonly use?: readonly ConsumeExtension[] | undefined
}
/** A group is required unless each instance gets its own copy. */
export type Membership =
  | { readonly mode: 'broadcast'; readonly group?: string | undefined }
  | { readonly mode?: 'shared' | undefined; readonly group: string }
export type ConsumeOptions<
  B extends BatchOptions | undefined = undefined,
  G extends Guarantee | undefined = Guarantee | undefined,
> = HandleOptions &
  Membership & { readonly batch?: B | undefined; readonly guarantee?: G | undefined } & ([B] extends [BatchOptions]
    ? { readonly batch: B }
    : unknown) &
  ([G] extends ['exactly-once-effects'] ? { readonly guarantee: G } : unknown)
export interface BatchOptions {
  readonly size: number
  readonly waitMs: number
}
export type PullOptions = SubscribeOptions &
  Membership & { readonly guarantee?: 'at-most-once' | 'at-least-once' | undefined }
export interface RespondOptions<Answer = unknown> extends HandleOptions {
  readonly group: string
  readonly answer?: StandardSchema<Answer, unknown> | undefined
}
export interface Puller<T> extends AsyncIterable<ManualDelivery<T>>, AsyncDisposable {
  receive(options: { readonly max: number; readonly waitMs: number }): Promise<readonly ManualDelivery<T>[]>
  close(): Promise<void>
}
export type Consumer<C extends Capabilities = Capabilities> = {
  pause(): Promise<void>
  resume(): Promise<void>
  /** Takes nothing new, lets handlers finish, settles, then resolves with how many of each. */
  stop(options?: {
    readonly drainMs?: number | undefined
  }): Promise<{ readonly handled: number; readonly givenBack: number }>
  readonly done: Promise<void>
  stats(): { readonly handled: number; readonly failed: number; readonly inFlight: number }
} & AsyncDisposable &
  (C['replay'] extends true
    ? {
        seek(
          to: 'earliest' | 'latest' | { readonly time: Date } | { readonly position: string },
          options?: { readonly dedupe?: 'keep' | 'forget' | undefined },
        ): Promise<void>
      }
    : unknown)

export interface ReplayOptions {
  readonly from: { readonly time: Date } | { readonly position: string } | 'earliest'
  readonly to?: { readonly time: Date } | { readonly position: string } | undefined
  readonly ratePerSecond?: number | undefined
  readonly order?: 'key' | 'none' | undefined
  readonly concurrency?: number | undefined
}
export interface Replay {
  readonly done: Promise<{ readonly handled: number }>
  stop(): Promise<void>
}
export interface Query {
  readonly id?: string | undefined
  readonly key?: string | undefined
  readonly from?: Date | undefined
  readonly to?: Date | undefined
}
export interface Stored<T> {
  readonly id: string
  readonly key: string | undefined
  readonly body: T
  readonly headers: MessageHeaders
  readonly position: string
  readonly sentAt: Date
}
