// `sendBatch`: several messages of one topic, each by itself or with one fate.
import type { Runtime } from '../broker/runtime.ts'
import { checkOptions, object, type Shape, show } from '../checked.ts'
import { MessagingError } from '../errors.ts'
import type { Outgoing } from '../face/extending.ts'
import type { PostOptions, Receipt, Sent } from '../face/sending.ts'
import { postShape } from './dispatch.ts'
import type { Lying } from './elsewhere.ts'
import type { Door } from './entrance.ts'
import { joining } from './joining.ts'
import { type Extras, messagingError, type Outbound, receiptOf } from './outbound.ts'
import type { Passing } from './passing.ts'

type Item = { readonly body: unknown } & PostOptions
const itemShape: Shape = { ...postShape, body: () => undefined }

/** Sends the batches of a producer. */
export function batches(runtime: Runtime, out: Outbound, { pass, refuse, through }: Passing) {
  const { flush } = out
  /** Each by itself, with one answer when all are there. */
  function separate(door: Door, items: readonly unknown[], extras: Extras): Promise<readonly Sent[]> {
    return new Promise((resolve) => {
      const sent: Sent[] = new Array(items.length)
      let left = items.length
      const put = (n: number, each: Sent): void => {
        sent[n] = each
        if (--left === 0) resolve(sent)
      }
      items.forEach((item, n) => {
        try {
          const { body } = checkedItem(item, n)
          pass(
            door,
            body,
            item as Item,
            extras,
            (receipt) => put(n, { ok: true, receipt }),
            (error) => put(n, { ok: false, error: messagingError(error) }),
          )
        } catch (error) {
          put(n, { ok: false, error: refuse(error) })
        }
      })
    })
  }
  /** With one fate: one batch of the broker, one insert of the keeper, or one transaction of the caller's. */
  async function joint(
    door: Door,
    items: readonly unknown[],
    atomic: boolean,
    extras: Extras,
  ): Promise<readonly Sent[]> {
    const { tx, signal } = extras
    const batch = joining(items.length, atomic, async (drafts) => {
      const lie = (lying: readonly Lying[]): readonly Receipt[] =>
        drafts.map((draft, n) => receiptOf(draft, lying[n]?.held ?? 'broker', lying[n]?.position))
      if (tx !== undefined) return lie(await out.inTransaction(door, drafts, tx, signal))
      const scheduled = drafts.filter((draft) => out.isScheduled(draft)).length
      if (scheduled === drafts.length) return lie(await out.scheduled(drafts, door, signal))
      if (scheduled > 0)
        throw new MessagingError(
          'unsupported',
          'an atomic batch waits in the store as a whole or not at all; give all its messages a delay, or none',
        )
      return out.together(drafts, door, signal)
    })
    const ids: string[] = []
    const epoch = flush.begin()
    const since = runtime.clock.now()
    const settled = await Promise.allSettled(items.map((item, n) => joined(door, item, n, batch, ids)))
    flush.end(epoch)
    return settled.map((each, n): Sent => {
      if (each.status === 'fulfilled') {
        out.succeeded(door.parts.name, each.value.id, since)
        return { ok: true, receipt: each.value }
      }
      const error = messagingError(each.reason)
      out.failed(door.parts.name, ids[n] ?? '', error)
      return { ok: false, error }
    })
  }
  async function joined(
    door: Door,
    item: unknown,
    n: number,
    batch: ReturnType<typeof joining>,
    ids: string[],
  ): Promise<Receipt> {
    try {
      const { body } = checkedItem(item, n)
      const innermost = async (given: Outgoing): Promise<Receipt> => {
        ids[n] = given.id
        const draft = out.draft(door, given.id, given.key, given)
        await out.encode(door, given.body, draft)
        return batch.join(n, draft)
      }
      return await through(door, body, item as Item, innermost)
    } finally {
      batch.skip(n)
    }
  }

  return (door: Door, items: readonly unknown[], atomic: boolean, extras: Extras): Promise<readonly Sent[]> => {
    if (!atomic && extras.tx === undefined) return separate(door, items, extras)
    if (extras.tx === undefined) checkAtomic(runtime, items)
    return joint(door, items, atomic, extras)
  }
}

function checkedItem(item: unknown, n: number): Item {
  if (object(item) !== undefined || !('body' in (item as object)))
    throw new MessagingError('invalid', `sendBatch(): message ${n} is ${show(item)}; give { body, ...options }`)
  checkOptions(`sendBatch(): message ${n}`, item, itemShape)
  return item as Item
}

function checkAtomic({ traits, name }: Runtime, messages: readonly unknown[]): void {
  if (!traits.atomic)
    throw new MessagingError(
      'unsupported',
      `${name} cannot send a batch atomically; send it in a transaction of a store (tx), or leave atomic out`,
    )
  if (messages.length > traits.maxBatch)
    throw new MessagingError(
      'too-large',
      `an atomic batch of ${messages.length} messages: ${name} takes at most ${traits.maxBatch} at once; send them in a transaction of a store (tx)`,
    )
}
