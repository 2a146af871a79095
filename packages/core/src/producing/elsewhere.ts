// What does not go to the broker by itself: into the caller's transaction, or into the keeper until it is due.
import type { Runtime } from '../broker/runtime.ts'
import { MessagingError } from '../errors.ts'
import type { Receipt } from '../face/sending.ts'
import type { Transaction } from '../face/stores.ts'
import type { Draft } from './dispatch.ts'
import type { Door, Entrance } from './entrance.ts'
import { holding, lacksKeeper, within } from './holding.ts'

/** Where a message lies now. */
export type Lying = Pick<Receipt, 'held' | 'position'>

/** The ways beside the batches, of one producer. Each has its own deadline. */
export function elsewhere(runtime: Runtime, entrance: Entrance, timeoutMs: number) {
  const { traits, driver } = runtime
  const schedule = holding(runtime, 'schedule', timeoutMs)

  /** Whether the keeper holds it until it is due; refuses where nobody can. */
  function isScheduled(draft: Draft): boolean {
    if (draft.notBefore === undefined) return false
    const { keeper } = runtime
    if (keeper !== undefined && !runtime.storeIsDriver) return true
    const waitMs = draft.notBefore - (draft.sentAt as number)
    if (traits.delay === 'any' && waitMs <= traits.maxDelayMs) return false
    if (keeper !== undefined) return true
    throw lacksKeeper(runtime, traits.delay === 'any' ? `a delay of ${waitMs} ms` : 'a delayed send')
  }
  async function toSchedule(door: Door, draft: Draft, signal: AbortSignal | undefined): Promise<Lying> {
    entrance.announce(door)
    await within(runtime, timeoutMs, signal, `${draft.topic} ${draft.id}: scheduling it`, () => schedule.hold(draft))
    return { held: 'schedule' }
  }
  /** In the caller's transaction: natively where the broker's own store opened it, else as rows of the outbox. */
  async function inTransaction(
    door: Door,
    drafts: readonly Draft[],
    tx: Transaction,
    signal: AbortSignal | undefined,
  ): Promise<readonly Lying[]> {
    const { keeper } = runtime
    const what = `sending to ${door.parts.name} in a transaction`
    const native = runtime.storeIsDriver && traits.transactional && !drafts.some((draft) => isScheduled(draft))
    if (native)
      return within(runtime, timeoutMs, signal, what, async (stop) => {
        await entrance.declared(door, stop, tx)
        const results = await driver.send(drafts, { signal: stop, tx })
        return drafts.map((_, n) => {
          const result = results[n]
          if (result?.ok === true) return { held: 'broker' as const, position: result.position }
          throw result?.error ?? new MessagingError('internal', `${what}: no answer`, { outcome: 'unknown' })
        })
      })
    if (keeper === undefined) throw lacksKeeper(runtime, 'a send with tx')
    entrance.announce(door)
    await within(runtime, timeoutMs, signal, what, async () => keeper.hold(drafts, 'outbox', tx))
    return drafts.map(() => ({ held: 'outbox' as const }))
  }

  /** All of these in one insert of the schedule. */
  async function scheduled(
    drafts: readonly Draft[],
    door: Door,
    signal: AbortSignal | undefined,
  ): Promise<readonly Lying[]> {
    entrance.announce(door)
    const what = `scheduling a batch for ${door.parts.name}`
    await within(runtime, timeoutMs, signal, what, async () => runtime.keeper?.hold(drafts, 'schedule', undefined))
    return drafts.map(() => ({ held: 'schedule' as const }))
  }

  return { isScheduled, toSchedule, inTransaction, scheduled }
}
