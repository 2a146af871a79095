// What a ledger holds. Times are ms on one clock that all writers share: the machine's monotonic one unless another is given.

/** How a send, or what came after it, ended as far as its caller was told. */
export type Outcome =
  /** Held and routed. */
  | 'ok'
  /** Definitely not sent. */
  | 'failed'
  /** Nobody knows. */
  | 'unknown'
  /** Taken back before it was due. */
  | 'cancelled'
  /** Whether it was taken back nobody knows. */
  | 'cancel-unknown'
  /** The transaction or the half message was rolled back. */
  | 'rolled-back'

/** Written, and on disk, before the message is sent. */
export interface Intent {
  readonly id: string
  readonly topic: string
  readonly key?: string | undefined
  /** Rises by message within the key, for the check of order. */
  readonly seq?: number | undefined
  /** Not to be delivered before. */
  readonly due?: number | undefined
  /** Not to be handled after. */
  readonly expires?: number | undefined
  /** Of the content, see `fingerprint`. */
  readonly hash?: string | undefined
  /** Whom it must reach, where that is not everybody. */
  readonly groups?: readonly string[] | undefined
  /** The reason for which it must become a dead letter; `none`: it must not. */
  readonly letter?: string | undefined
  /** By then the send must have settled; 10 s unless given. */
  readonly deadlineMs?: number | undefined
}

/** A message in the hands of a consumer, each time it comes. */
export interface Delivered {
  readonly id: string
  readonly group: string
  readonly topic?: string | undefined
  readonly hash?: string | undefined
}

/** A writer's last words; a writer without them was killed. */
export interface Ending {
  /** How long the broker took to close. */
  readonly closeMs?: number | undefined
  /** Handles that were open after it had. */
  readonly handles?: number | undefined
}

/** One line of a ledger. */
export type Entry = { readonly t: number } & (
  | ({ readonly e: 'intent' } & Intent)
  | { readonly e: 'outcome'; readonly id: string; readonly as: Outcome; readonly code?: string | undefined }
  | { readonly e: 'due'; readonly id: string; readonly due: number }
  | ({ readonly e: 'delivery' } & Delivered)
  | { readonly e: 'effect'; readonly id: string; readonly group: string }
  | { readonly e: 'ack'; readonly id: string; readonly group: string }
  | { readonly e: 'letter'; readonly id: string; readonly group?: string | undefined; readonly reason: string }
  | { readonly e: 'fault'; readonly name: string; readonly phase: 'begin' | 'end' }
  | { readonly e: 'rejection'; readonly error: string }
  | { readonly e: 'backlog'; readonly group: string; readonly count: number }
  | ({ readonly e: 'end' } & Ending)
)
