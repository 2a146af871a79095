// One producer's messages on their way: to the broker, into the caller's transaction, or into the keeper.

import { encodeBody } from '../body.ts'
import type { Runtime } from '../broker/runtime.ts'
import { newId } from '../driver/id.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { Encoded } from '../face/messages.ts'
import type { Receipt, SendOptions } from '../face/sending.ts'
import type { Transaction } from '../face/stores.ts'
import { type Draft, draftOf, fill, keyOf, type Reply } from './dispatch.ts'
import { elsewhere, type Lying } from './elsewhere.ts'
import type { Door } from './entrance.ts'
import { flushing } from './flushing.ts'
import { holding, within } from './holding.ts'
import { sharedOf } from './shared.ts'
import { listOf, type Owner, type Slot, slotOf } from './slot.ts'

/** The publish deadline. */
export const defaultTimeoutMs = 10_000

/** What a producer is set to; defaults are filled in. */
export interface ProducerSettings {
  readonly spool: boolean
  readonly sendTimeoutMs: number
  readonly buffer: number
  readonly lingerMs: number
  readonly maxBytes: number
}

/** What a caller said of one send, besides the message itself. */
export interface Extras {
  readonly tx: Transaction | undefined
  readonly signal: AbortSignal | undefined
  readonly reply: Reply | undefined
}

/** Nothing besides. */
export const noExtras: Extras = { tx: undefined, signal: undefined, reply: undefined }

type Resolve = (receipt: Receipt) => void
type Reject = (error: MessagingError) => void
/** Makes the way out of one producer. */
export function outbound(runtime: Runtime, settings: ProducerSettings) {
  const { clock, traits, events } = runtime
  const { batcher, entrance } = sharedOf(runtime)
  const { sendTimeoutMs: timeoutMs, maxBytes } = settings
  const counts = { sent: 0, failed: 0, unknown: 0 }
  const flush = flushing(runtime.unsent)
  const other = elsewhere(runtime, entrance, timeoutMs)
  const spool = settings.spool ? holding(runtime, 'spool', timeoutMs) : undefined

  const owner: Owner = {
    timeoutMs,
    lingerMs: settings.lingerMs,
    buffer: settings.buffer,
    admitted: 0,
    outside: listOf(),
    divert:
      spool === undefined
        ? undefined
        : (slot) => {
            const key = slot.group === undefined ? slot.message?.key : undefined
            if (key === undefined) return false
            if (!spool.holds(slot.topic, key) && runtime.keeper?.spooled(slot.topic, key) !== true) return false
            toSpool(slot, undefined)
            return true
          },
    settled(slot, error) {
      if (slot.group !== undefined) {
        // Its messages are counted by whoever put them together.
        if (slot.epoch !== undefined) flush.end(slot.epoch)
        if (error === undefined) slot.resolve(undefined as never)
        else slot.reject(error)
      } else if (error === undefined) {
        succeeded(slot.topic, slot.id, slot.deadline - timeoutMs)
        if (slot.epoch !== undefined) flush.end(slot.epoch)
        slot.resolve(receiptOf(slot.message as Draft, 'broker', slot.position) as never)
      } else if (spool !== undefined && error.retryable && slot.message !== undefined) {
        toSpool(slot, error)
      } else ended(slot, error)
    },
  }
  function ended(slot: Slot, error: MessagingError): void {
    if (error.code === 'not-found') runtime.missed(slot.topic, 'topic')
    else if (error.code === 'unroutable') runtime.missed(slot.topic, 'groups')
    failed(slot.topic, slot.id, error)
    if (slot.epoch !== undefined) flush.end(slot.epoch)
    slot.reject(error)
  }
  function toSpool(slot: Slot, failure: MessagingError | undefined): void {
    const message = slot.message as Draft
    ;(spool as NonNullable<typeof spool>).hold(message).then(
      () => {
        succeeded(slot.topic, slot.id, slot.deadline - timeoutMs)
        if (slot.epoch !== undefined) flush.end(slot.epoch)
        slot.resolve(receiptOf(message, 'spool', undefined) as never)
      },
      (error: MessagingError) => ended(slot, spoolError(failure, error)),
    )
  }
  function succeeded(topic: string, id: string, since: number): void {
    counts.sent++
    if (events.heard('sent')) events.emit('sent', { id, topic, ms: clock.now() - since })
  }
  function failed(topic: string, id: string, error: MessagingError): void {
    if (error.outcome === 'unknown') counts.unknown++
    else counts.failed++
    if (events.heard('send-failed')) events.emit('send-failed', { id, topic, error })
  }

  /** A message in a list with a deadline; the codec may still work on it. */
  function direct(door: Door, body: unknown, draft: Draft, extras: Extras, resolve: Resolve, reject: Reject): void {
    const encoded = encodeBody(door.parts, body, draft)
    const waits = encoded instanceof Promise
    if (!waits) fill(draft, encoded, maxBytes)
    const slot = slotOf(
      owner,
      draft.topic,
      draft.id,
      (draft.sentAt as number) + timeoutMs,
      waits ? undefined : draft,
      undefined,
    )
    slot.resolve = resolve
    slot.reject = reject
    slot.epoch = flush.begin()
    batcher.watch(slot, extras.signal)
    entrance.enter(door, slot)
    if (waits) void fillLater(door, slot, draft, encoded)
  }
  async function fillLater(door: Door, slot: Slot, draft: Draft, encoded: Promise<Encoded>): Promise<void> {
    try {
      fill(draft, await encoded, maxBytes)
      slot.message = draft
      entrance.encoded(door, slot)
    } catch (error) {
      batcher.settle(slot, messagingError(error))
    }
  }
  /** What goes elsewhere than into a batch: it has its own deadline. */
  async function aside(draft: Draft, put: () => Promise<Lying>): Promise<Receipt> {
    const epoch = flush.begin()
    try {
      const { held, position } = await put()
      succeeded(draft.topic, draft.id, draft.sentAt as number)
      return receiptOf(draft, held, position)
    } catch (error) {
      failed(draft.topic, draft.id, messagingError(error))
      throw error
    } finally {
      flush.end(epoch)
    }
  }
  /** Into the caller's transaction, or into the schedule. */
  const putAside = (door: Door, body: unknown, draft: Draft, { tx, signal }: Extras): Promise<Receipt> =>
    aside(draft, async () => {
      await encode(door, body, draft)
      if (tx === undefined) return other.toSchedule(door, draft, signal)
      return (await other.inTransaction(door, [draft], tx, signal))[0] as Lying
    })
  async function encode(door: Door, body: unknown, draft: Draft): Promise<void> {
    const encoded = encodeBody(door.parts, body, draft)
    const what = `${draft.topic} ${draft.id}: encoding it`
    fill(
      draft,
      encoded instanceof Promise ? await within(runtime, timeoutMs, undefined, what, () => encoded) : encoded,
      maxBytes,
    )
  }
  return {
    owner,
    counts,
    flush,
    entrance,
    batcher,
    aside,
    ...other,
    encode,
    succeeded,
    failed,
    idOf: (given: string | undefined): string => given ?? newId(clock.now()),
    keyOf,
    draft: (door: Door, id: string, key: string | undefined, options: SendOptions | undefined, reply?: Reply): Draft =>
      draftOf(door, traits, runtime.name, clock.now(), id, key, options, reply),
    /** Sends one message; throws what can be refused at once, and else calls one of the two. */
    go(
      door: Door,
      body: unknown,
      options: SendOptions | undefined,
      given: { readonly id: string; readonly key: string | undefined } | undefined,
      extras: Extras,
      resolve: Resolve,
      reject: Reject,
    ): void {
      const now = clock.now()
      const id = given === undefined ? (options?.id ?? newId(now)) : given.id
      const key = given === undefined ? keyOf(door, body, options?.key) : given.key
      const draft = draftOf(door, traits, runtime.name, now, id, key, options, extras.reply)
      const { tx, signal } = extras
      if (signal?.aborted === true)
        throw new MessagingError('aborted', `${draft.topic} ${id}: the send was aborted before it began`, {
          cause: signal.reason,
        })
      if (tx === undefined && !other.isScheduled(draft)) {
        direct(door, body, draft, extras, resolve, reject)
        return
      }
      putAside(door, body, draft, extras).then(resolve, reject)
    },
    /** All of these or none. */
    together(drafts: readonly Draft[], door: Door, signal: AbortSignal | undefined): Promise<readonly Receipt[]> {
      const first = drafts[0] as Draft
      return new Promise((resolve, reject) => {
        const slot = slotOf(owner, first.topic, first.id, (first.sentAt as number) + timeoutMs, first, drafts)
        slot.resolve = (() => {
          const { results } = slot
          resolve(
            drafts.map((draft, n) => {
              const result = results?.[n]
              return receiptOf(draft, 'broker', result?.ok === true ? result.position : undefined)
            }),
          )
        }) as never
        slot.reject = reject
        slot.epoch = flush.begin()
        batcher.watch(slot, signal)
        entrance.enter(door, slot)
      })
    },
  }
}

/** The way out of one producer. */
export type Outbound = ReturnType<typeof outbound>

/** What a caller gets. */
export function receiptOf(draft: Draft, held: Receipt['held'], position: string | undefined): Receipt {
  const { id, topic, notBefore } = draft
  return notBefore === undefined
    ? { id, topic, held, position }
    : { id, topic, held, position, dueAt: new Date(notBefore) }
}

/** Whatever was thrown, as ours. */
export function messagingError(error: unknown): MessagingError {
  if (isMessagingError(error)) return error
  return new MessagingError('internal', `a send failed before it began: ${describe(error)}`, { cause: error })
}

function spoolError(failure: MessagingError | undefined, error: MessagingError): MessagingError {
  if (failure === undefined) return error
  const unknown = failure.outcome === 'unknown' || error.outcome === 'unknown'
  return new MessagingError(failure.code, `${failure.message}; and it could not be spooled: ${error.message}`, {
    outcome: unknown ? 'unknown' : 'failed',
    cause: failure,
  })
}
