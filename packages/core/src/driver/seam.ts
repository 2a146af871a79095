// What a broker must do. Adapter authors read this file and envelope.ts; applications never import them.
import type { MessagingError } from '../errors.ts'
import type { Filter, Ordering } from '../face/messages.ts'
import type { Health, ListedTopic } from '../face/operating.ts'
import type { Store, Transaction } from '../face/stores.ts'
import type { Clock } from './clock.ts'
import type { Arrival, Dispatch, Failure, Letter } from './envelope.ts'

/**
 * A driver never retries, never emulates, never logs, never waits without a signal or a deadline. It rejects with
 * `MessagingError` only. A dead connection is dropped and rejects with `unavailable`; core opens again with back-off.
 * All methods may be called concurrently unless said otherwise.
 */
export interface Driver<Client = unknown> {
  /** The broker's own client, for `broker.driver.client`. */
  readonly client: Client
  /** What this very broker cannot do although the adapter can: an older version, a plugin that is missing. Known once connected. */
  readonly lacks?: Partial<Traits> | undefined
  /**
   * Makes or verifies what the topic and its groups need on the broker. Idempotent; core calls it before the first use. `tx` is set
   * only where the traits say `transactional`, when that first use is a send within an open transaction: then it must not wait for
   * that transaction to end, so it is written in it (and gone with it: core declares again outside).
   */
  declare(topic: TopicSpec, signal: AbortSignal, tx?: Transaction): Promise<void>
  /**
   * One result per message, in order, once the broker holds and has routed each. `tx` is set only where the traits say
   * `transactional`: then nothing is visible before the caller commits. A result whose fate nobody knows (deadline, connection
   * lost after the write) is an error with outcome `unknown`. After an abort it settles within a second: as `failed` what was never
   * written and will not be, as `unknown` the rest.
   */
  send(batch: readonly Dispatch[], options: SendControl): Promise<readonly SendResult[]>
  /**
   * Takes a message back out of a batch that `send` was given and has not answered: true where nothing of it has left the process, and
   * now nothing will; then what `send` says of it is not heard. Of an atomic batch with its first message: the whole of it. False where it may have
   * arrived, or is no batch under way. Others of the batch may end as `failed`, too, if they can be tried again. Without this verb
   * whatever the driver has counts as written.
   */
  withdraw?(batch: readonly Dispatch[], message: Dispatch): boolean
  /** Resolves when deliveries can flow and `from` is fixed. */
  open(subscription: Subscription, signal: AbortSignal): Promise<Source>
  /** The shelf of dead letters of a topic and a group; undefined: of no group. */
  shelf(topic: TopicSpec, group: string | undefined): Shelf
  /** What waits for a group and is not settled. */
  lag(topic: TopicSpec | PatternSpec, group: string, signal: AbortSignal): Promise<DriverLag>
  /** Whether messages flow now: connections, alarms, consumers. Never rejects. */
  health(): Promise<Health['checks']>
  /** Ends what it opened, within 5 s even with no peer. Idempotent. What it was given (the user's client) stays open. */
  close(): Promise<void>
  /** Only with trait `topics`: those of this namespace, by name. Reply addresses and what is made beside topics are none. */
  topics?(signal: AbortSignal): Promise<readonly ListedTopic[]>
  /**
   * Only with trait `topics`: ends a topic with its groups, what waits for them, its delayed messages and its dead letters. `not-found`
   * where there is none; `invalid`, and nothing is touched, while a group reads it. After a crash in the middle a second call ends the work.
   */
  remove?(topic: string, signal: AbortSignal): Promise<void>
  /** Only with trait `cancel`: takes a waiting message back. */
  cancel?(id: string, topic: string, tx: Transaction | undefined): Promise<'cancelled' | 'too-late' | 'unknown'>
  /** Only with trait `cancel`: changes when it is due. */
  reschedule?(
    id: string,
    topic: string,
    notBefore: number,
    tx: Transaction | undefined,
  ): Promise<'rescheduled' | 'too-late' | 'unknown'>
  /** Only with capability `query`: stored messages, oldest first. */
  query?(topic: TopicSpec | PatternSpec, where: DriverQuery, signal: AbortSignal): AsyncIterable<Arrival>
  /**
   * Asked in the caller's own flow before a message without `tx` is taken: the error where it would wait for the end of a transaction that
   * this very flow holds open. Only where one writes at a time.
   */
  refusal?(): MessagingError | undefined
  /** Where the transport can be a store itself: it is `broker.store` unless another is given. */
  readonly store?: Store | undefined
}

/** Batches in flight of one driver may overlap up to the traits' `inFlight`. */
export interface SendControl {
  readonly signal: AbortSignal
  /** All or none; only with trait `atomic`. */
  readonly atomic?: boolean | undefined
  readonly tx?: Transaction | undefined
}

/** Of one message of a batch. */
export type SendResult =
  | { readonly ok: true; readonly position: string | undefined }
  | { readonly ok: false; readonly error: MessagingError }

/** Where deliveries of one subscription come from. */
export interface Source {
  /**
   * Waits for 1 to `max` deliveries; never called twice at once, but settles may overlap it. An abort yields none and loses
   * none. Empty only at the end of a `replay`. Rejects with `unavailable` when the connection is gone: core then closes and opens again.
   */
  receive(max: number, signal: AbortSignal): Promise<readonly Arrival[]>
  /** One answer per settlement. `stale`: no longer ours. `unknown`: the answer was lost. */
  settle(batch: readonly Settlement[]): Promise<readonly Settled[]>
  /** Gives what is unsettled back to the broker, where it costs no try, and ends. Idempotent, within 5 s. */
  close(): Promise<void>
  /** Only with trait `leaseMs`: what is still being handled. */
  extend?(tokens: readonly unknown[]): Promise<readonly Settled[]>
  /** Only with capability `replay`: where the group goes on. What was received before is stale. */
  seek?(to: From): Promise<void>
  /**
   * Notes durably that this delivery starts while nothing else runs, before it does (`lone` + 1 on redelivery). Without it core
   * sends a copy to the group instead.
   */
  mark?(token: unknown): Promise<Settled>
  /** The start that was marked has ended and the delivery stays in hand: only a start that never ends counts. So does a `nack`. */
  unmark?(token: unknown): Promise<Settled>
  /** Only with trait `effects`: the sends and the settlements together or not at all. */
  atomic?(sends: readonly Dispatch[], settlements: readonly Settlement[], signal: AbortSignal): Promise<void>
}

/**
 * `nack` brings it back to this group, not before `afterMs`: set only where the traits' `nackDelay` allows. With `failures` a try
 * is used up and kept with the message; without, it is handed back and costs nothing. There is no `reject`: core sends the
 * dead letter and, once that is confirmed, acknowledges.
 */
export type Settlement = { readonly token: unknown } & (
  | { readonly verdict: 'ack' }
  | {
      readonly verdict: 'nack'
      readonly afterMs?: number | undefined
      readonly failures?: number | undefined
      readonly history?: readonly Failure[] | undefined
    }
)

/** Whether a settlement holds. */
export type Settled = 'ok' | 'stale' | 'unknown'

/** A topic as a driver needs it. */
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly groups: readonly GroupSpec[]
  readonly retentionMs: number | undefined
  /** Whether messages have keys. */
  readonly keyed: boolean
  /** Of messages that name none; undefined: the topic says nothing of priorities. */
  readonly priority: number | undefined
  /** The user's `on[adapter]`: what already exists and who reads it. */
  readonly on: unknown
}
export interface GroupSpec {
  readonly name: string
  readonly order: Ordering
  /** In core's one form for all that say the same: members agree where the text is equal. */
  readonly filter: Filter | undefined
}
export interface PatternSpec {
  readonly pattern: string
}

/** Where a new group starts; times are epoch ms. */
export type From = 'earliest' | 'latest' | { readonly time: number } | { readonly position: string }

export interface Subscription {
  readonly source: TopicSpec | PatternSpec
  /**
   * `shared`: the group competes. `broadcast`: a copy for this member, gone with it. `reply`: the address in `source.name` belongs to this
   * member and vanishes with it. `replay`: reads history once from `from` to `to` (or to the end as of now), alone, settles nothing.
   */
  readonly mode: 'shared' | 'broadcast' | 'reply' | 'replay'
  /** Unique to this member unless the mode is `shared`. */
  readonly group: string
  /** Unique to this consumer. */
  readonly member: string
  readonly order: Ordering
  /** Most deliveries received and not settled. */
  readonly window: number
  readonly from: From
  readonly to?: From | undefined
  /** As `GroupSpec.filter`. Applied by core, unless the traits' `filter` says the driver does. */
  readonly filter: Filter | undefined
  /** The broker took something from us, or a position is gone. */
  readonly report: (event: SourceEvent) => void
}

export type SourceEvent =
  | { readonly event: 'position-lost'; readonly topic: string; readonly position: string }
  | { readonly event: 'at-risk'; readonly topic: string; readonly lostInMs: number }

/** A shelf of dead letters. They are put on it by `send` with a `letter`. */
export interface Shelf {
  /** Oldest first, as of now; ends. What is listed stays there. Makes nothing: `not-found` may tell that there is no such shelf, which is an empty one. */
  list(signal: AbortSignal): AsyncIterable<ShelvedLetter>
  /** Removes these; a token that is gone is no error. Tokens hold until the iteration they came from ends. */
  remove(tokens: readonly unknown[], signal: AbortSignal): Promise<void>
}
export interface ShelvedLetter {
  readonly token: unknown
  readonly message: Arrival
  readonly letter: Letter
  readonly group: string | undefined
}

export interface DriverLag {
  readonly backlog: number
  readonly oldestMs: number | undefined
  /** Until retention takes what was not handled. */
  readonly lostInMs: number | undefined
}
export interface DriverQuery {
  readonly id: string | undefined
  readonly key: string | undefined
  readonly from: number | undefined
  readonly to: number | undefined
}

/** What a driver is given when it connects. */
export interface DriverContext {
  /** Prefix of every name on the broker; '' where none was given. */
  readonly namespace: string
  readonly topology: 'declare' | 'check' | 'none'
  readonly connectTimeoutMs: number
  readonly clock: Clock
  /** Names this connection in the broker's own lists. */
  readonly clientId: string
  /** For `disconnected` and `connected` events; a driver does not log. */
  readonly report: (event: DriverEvent) => void
  readonly signal: AbortSignal
}
export type DriverEvent =
  | { readonly event: 'disconnected'; readonly error: MessagingError }
  | { readonly event: 'connected' }

/** What the broker does natively. Core emulates the rest once, or refuses it at start. Held against one capability table. */
export interface Traits {
  /** Keeps messages for groups that come later. */
  readonly history: boolean
  /** `key`: at any time the messages of a key are in the hands of one member, in order. */
  readonly order: 'key' | 'process'
  /** `notBefore`: on any message, on messages to one group only, or not at all. */
  readonly delay: 'any' | 'group' | 'none'
  readonly maxDelayMs: number
  /** `settle` takes `afterMs`: `ordered` where the key waits with it, `unordered` where the key's later messages pass. */
  readonly nackDelay: 'ordered' | 'unordered' | 'none'
  readonly cancel: boolean
  readonly priority: boolean
  readonly pattern: boolean
  /** Topics can be listed and removed. */
  readonly topics: boolean
  /** The driver applies `Subscription.filter` with exactly core's meaning. */
  readonly filter: boolean
  readonly atomic: boolean
  readonly effects: boolean
  /** `send` takes the `tx` of the driver's own store. */
  readonly transactional: boolean
  /** Where a broken batch may be partly held: then what a later message of its key has overtaken is not tried again. */
  readonly partialFailure: boolean
  /** Refuses single messages as a matter of course (a queue at its limit): then a key has one message under way, which can wait for room. */
  readonly refusesSingly?: boolean | undefined
  /** Deliveries must be extended before this; undefined: they are ours while connected. */
  readonly leaseMs: number | undefined
  /** Where no history keeps messages: how often the driver looks again, while messages are sent, whether their groups are there. */
  readonly recheckMs?: number | undefined
  /** Longest that a delivery may be held in hand, extended or not; undefined: any. */
  readonly holdMs: number | undefined
  /** `deliveryCount` counts starts durably, so `attempt` survives a crash. */
  readonly counts: boolean
  /** Batches that may be under way at once. */
  readonly inFlight: number
  readonly maxBatch: number
  /** Largest body. */
  readonly maxBytes: number
  /** Window of a consumer that names none; undefined: core chooses. */
  readonly window: number | undefined
}
