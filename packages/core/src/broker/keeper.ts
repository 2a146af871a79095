import type { Clock } from '../driver/clock.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { Driver, SendResult, TopicSpec } from '../driver/seam.ts'
import type { HeldRow } from '../driver/store.ts'
import type { Check } from '../face/sending.ts'
import type { Store, Transaction } from '../face/stores.ts'
import type { EventBus } from './events.ts'

/**
 * Holds messages that wait for a commit, a time, a key or the broker, in a store's `held` port, and relays them. Written in
 * `reliability`, handed to `connect` by the umbrella: core knows only this.
 */
export interface Keeper {
  /** Puts messages away as rows; in `tx` they count when the caller commits. Resolves when they are durable (without `tx`). */
  hold(messages: readonly Dispatch[], as: 'outbox' | 'schedule' | 'spool', tx: Transaction | undefined): Promise<void>
  /** Whether earlier messages of this topic and key still lie in the spool, so that a later one must join them. */
  spooled(topic: string, key: string | undefined): boolean
  cancel(id: string, topic: string, tx: Transaction | undefined): Promise<'cancelled' | 'too-late' | 'unknown'>
  reschedule(
    id: string,
    topic: string,
    notBefore: number,
    tx: Transaction | undefined,
  ): Promise<'rescheduled' | 'too-late' | 'unknown'>
  /** A half message: held as `prepared` until one of these is called. `signal` aborts at half of the immunity time. */
  prepare(message: Dispatch): Promise<{
    readonly signal: AbortSignal
    commit(): Promise<void>
    rollback(): Promise<void>
  }>
  /** Registers who answers for half messages of a topic whose sender vanished; the answer unregisters. */
  check(topic: string, check: (message: Dispatch) => ReturnType<Check<unknown>>): () => void
  /** Whether `check` knows the topic. */
  checks(topic: string): boolean
  /** Parks a message of a key and everything of the key that follows, for one group. */
  park(message: Dispatch, group: string, key: string): Promise<void>
  /** Whether an earlier message of the key is parked for the group, so that this one must wait behind it. */
  parked(topic: string, group: string, key: string, id: string): Promise<boolean>
  /** A message of a key that may be parked was handled: if it was the one released, the next of its key goes. */
  handledParked(topic: string, group: string, id: string): Promise<void>
  /** The parked messages of a group, oldest first: `deadLetters` shows them with reason `parked`. */
  parkedOf(topic: string, group: string): AsyncIterable<Dispatch>
  /** Sends the parked messages of a key to the group in order, and unparks it when none is left. Answers how many. */
  release(topic: string, group: string, key: string): Promise<number>
  /** Forgets a parked message. */
  discardParked(topic: string, group: string, id: string): Promise<boolean>
  /** Rows that wait, for health. */
  waiting(): Promise<{
    readonly ready: number
    readonly prepared: number
    readonly parked: number
    readonly oldestMs: number | undefined
  }>
  /** Stops relaying; what is claimed is finished or its lease runs out. */
  close(): Promise<void>
}

/** What a keeper is given when it starts. */
export interface KeeperContext {
  readonly store: Store
  readonly driver: Driver
  readonly clock: Clock
  readonly events: EventBus
  /** The topic as this broker declares it; undefined where it has never seen it. */
  topicOf(name: string): TopicSpec | undefined
  /** Declares, by the row's own word where this process has never seen the topic; then sends through the batcher with its deadline and its retries. */
  relay(rows: readonly Pick<HeldRow, 'message' | 'topic'>[]): Promise<readonly SendResult[]>
}

/** How `connect` gets one; `reliability` exports it. */
export type OpenKeeper = (context: KeeperContext) => Keeper
