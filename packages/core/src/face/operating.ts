// Dead letters, lag, health, events.
import type { MessagingError } from '../errors.ts'
import type { AnyTopic, MessageHeaders } from './messages.ts'

export interface DeadLetter<T = unknown> {
  readonly id: string
  readonly topic: string
  readonly group: string | undefined
  readonly key: string | undefined
  readonly headers: MessageHeaders
  readonly body: T | undefined
  readonly raw: Uint8Array
  readonly reason:
    | 'rejected'
    | 'attempts'
    | 'expired'
    | 'overflow'
    | 'undecodable'
    | 'poison'
    | 'unroutable'
    | 'unanswered'
    | 'parked'
  readonly error: string | undefined
  readonly attempts: number
  readonly at: Date
  readonly history: readonly { readonly attempt: number; readonly at: Date; readonly error: string }[]
}
export interface DeadLetters<T = unknown> {
  list(options?: {
    readonly where?: ((letter: DeadLetter<T>) => boolean) | undefined
    readonly limit?: number | undefined
  }): AsyncIterable<DeadLetter<T>>
  redrive(options?: {
    readonly where?: ((letter: DeadLetter<T>) => boolean) | undefined
    readonly ratePerSecond?: number | undefined
    readonly dryRun?: boolean | undefined
    /** Also what is older than the group's inbox remembers: if it was handled after all, it is handled twice. */
    readonly beyondInbox?: boolean | undefined
  }): Promise<{
    readonly matched: number
    readonly redriven: number
    readonly failed: number
    /** Older than the group's inbox remembers, and left where they are. */
    readonly refused: number
  }>
  discard(options: { readonly where: (letter: DeadLetter<T>) => boolean }): Promise<{ readonly discarded: number }>
}
/** A topic as the broker has it. */
export interface ListedTopic {
  readonly name: string
  readonly partitions: number
  /** Those that the broker knows of, by name. */
  readonly groups: readonly string[]
}
/** The topics of this namespace on the broker. */
export interface Topics {
  /** By name. */
  list(): Promise<readonly ListedTopic[]>
  /**
   * Ends a topic for every process, with its groups, what waits for them and their dead letters; what waits in a store (outbox, delay) does
   * not belong to it. Refused while a group reads it, and where somebody else owns it (`on`, or a `topology` other than `declare`).
   */
  delete(topic: AnyTopic): Promise<ListedTopic>
}
export interface Lag {
  readonly backlog: number
  readonly oldestMs: number | undefined
  readonly ratePerSecond: number
  readonly drainMs: number | undefined
  readonly lostInMs: number | undefined
}
export interface Health {
  readonly ok: boolean
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[]
}
export interface Explanation {
  readonly promises: readonly {
    readonly promise: string
    readonly how: 'native' | 'emulated' | 'store' | 'impossible'
    readonly detail: string
    readonly cost: string
  }[]
  toString(): string
}
export interface Events {
  readonly sent: { readonly id: string; readonly topic: string; readonly ms: number }
  readonly 'send-failed': { readonly id: string; readonly topic: string; readonly error: MessagingError }
  readonly handled: {
    readonly id: string
    readonly topic: string
    readonly group: string
    readonly ms: number
    readonly attempt: number
  }
  readonly retry: {
    readonly id: string
    readonly topic: string
    readonly group: string
    readonly attempt: number
    readonly afterMs: number
    readonly error: unknown
  }
  readonly 'dead-letter': DeadLetter
  readonly 'key-parked': {
    readonly topic: string
    readonly group: string
    readonly key: string
    readonly error: unknown
  }
  /**
   * `idempotent({ mode: 'claim' })` could not keep a message from being handled twice. `store away`: it was handled without a claim. `claim lost`: its claim
   * ran out, and another may have it. `not marked`: it was handled, and the mark could not be written. `no result`: it is done, but what was given to
   * `ack` is not kept.
   */
  readonly exposed: {
    readonly id: string
    readonly topic: string
    readonly group: string
    readonly why: 'store away' | 'claim lost' | 'not marked' | 'no result'
  }
  readonly 'at-risk': { readonly topic: string; readonly group: string; readonly lostInMs: number }
  readonly 'position-lost': { readonly topic: string; readonly group: string; readonly position: string }
  readonly stalled: { readonly topic: string; readonly group: string; readonly forMs: number }
  readonly disconnected: { readonly error: MessagingError }
  readonly connected: { readonly afterMs: number }
}
