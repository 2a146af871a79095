// Producers.
import type { MessagingError } from '../errors.ts'
import type { SendExtension } from './extending.ts'
import type { MessageHeaders, StandardSchema, Topic } from './messages.ts'
import type { Transaction } from './stores.ts'

export interface ProducerOptions {
  /** A send that fails for good or stays unknown goes to the store and is sent when the broker is back. */
  readonly spool?: boolean | undefined
  readonly sendTimeoutMs?: number | undefined
  /** Most messages not yet settled; `send` waits beyond it. */
  readonly buffer?: number | undefined
  readonly lingerMs?: number | undefined
  /** Largest body, 1 MiB unless raised: a large one holds up what goes out beside it. */
  readonly maxBytes?: number | undefined
  readonly use?: readonly SendExtension[] | undefined
}
/** What any message may carry. */
export interface MessageOptions {
  readonly id?: string | undefined
  readonly key?: string | undefined
  readonly tag?: string | undefined
  readonly headers?: MessageHeaders | undefined
  readonly expiresInMs?: number | undefined
  readonly priority?: number | undefined
  readonly partition?: number | undefined
}
export interface PostOptions extends MessageOptions {
  readonly delayMs?: number | undefined
  readonly deliverAt?: Date | undefined
}
export interface SendOptions extends PostOptions {
  /** Sends through the outbox, in the caller's transaction. */
  readonly tx?: Transaction | undefined
  readonly signal?: AbortSignal | undefined
}
export interface RequestOptions<Answer = unknown> extends MessageOptions {
  readonly timeoutMs: number
  /** Checks and types the answer; without it the type is the caller's word. */
  readonly answer?: StandardSchema<unknown, Answer> | undefined
  readonly signal?: AbortSignal | undefined
}
/** Enough to name a message that still waits; what another process may know of it. */
export interface MessageRef {
  readonly id: string
  readonly topic: string
  readonly handle?: string | undefined
}
export interface Receipt extends MessageRef {
  /** Where it is held: `broker` (held and routed), `outbox`, `schedule`, `spool`. */
  readonly held: 'broker' | 'outbox' | 'schedule' | 'spool'
  readonly position?: string | undefined
  readonly dueAt?: Date | undefined
}
export type Sent =
  | { readonly ok: true; readonly receipt: Receipt }
  | { readonly ok: false; readonly error: MessagingError }
export interface Producer {
  send<In>(topic: Topic<In, unknown>, body: NoInfer<In>, options?: SendOptions): Promise<Receipt>
  sendBatch<In>(
    topic: Topic<In, unknown>,
    messages: readonly ({ readonly body: NoInfer<In> } & PostOptions)[],
    options?: {
      readonly atomic?: boolean | undefined
      readonly tx?: Transaction | undefined
      readonly signal?: AbortSignal | undefined
    },
  ): Promise<readonly Sent[]>
  /** One-way: never throws, never waits; counted in `stats()`. */
  post<In>(topic: Topic<In, unknown>, body: NoInfer<In>, options?: PostOptions): void
  cancel(
    message: MessageRef,
    options?: { readonly tx?: Transaction | undefined },
  ): Promise<'cancelled' | 'too-late' | 'unknown'>
  reschedule(
    message: MessageRef,
    when: { readonly delayMs: number } | { readonly deliverAt: Date },
    options?: { readonly tx?: Transaction | undefined },
  ): Promise<'rescheduled' | 'too-late' | 'unknown'>
  /** Half message: held back, then `work`; resolves = commit, throws = roll back. `broker.checkHalf` must know the topic. */
  sendHalf<In, R>(
    topic: Topic<In, unknown>,
    body: NoInfer<In>,
    work: (message: { readonly id: string; readonly signal: AbortSignal }) => Promise<R>,
    options?: MessageOptions & { readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly receipt: Receipt; readonly result: R }>
  stats(): {
    readonly sent: number
    readonly failed: number
    readonly unknown: number
    readonly posted: number
    readonly dropped: number
    readonly pending: number
  }
  flush(): Promise<void>
}
export type Check<In> = (message: {
  readonly id: string
  readonly body: In
  readonly headers: MessageHeaders
}) => Promise<'commit' | 'rollback' | 'unknown'>
