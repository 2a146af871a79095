import type { Keeper } from '../src/broker/keeper.ts'
import type { Dispatch } from '../src/driver/envelope.ts'
import type { Store, Transaction } from '../src/face/stores.ts'

/** What a keeper was asked to do; in memory, answering at once unless told otherwise. */
export interface KeptKeeper extends Keeper {
  readonly kept: { readonly as: string; readonly ids: readonly string[]; readonly tx: Transaction | undefined }[]
  readonly messages: Dispatch[]
  readonly calls: string[]
  /** Keys that lie in the spool. */
  readonly spool: Set<string>
  /** Runs before each hold; may wait or throw. */
  before: () => Promise<void>
}

/** A keeper as the seam describes it, as far as senders use one. */
export function keptKeeper(): KeptKeeper {
  const kept: KeptKeeper['kept'] = []
  const messages: Dispatch[] = []
  const calls: string[] = []
  const spool = new Set<string>()
  const checked = new Set<string>()
  const keeper: KeptKeeper = {
    kept,
    messages,
    calls,
    spool,
    before: async () => {},
    async hold(batch, as, tx) {
      await keeper.before()
      kept.push({ as, ids: batch.map(({ id }) => id), tx })
      messages.push(...batch)
      if (as === 'spool') for (const { topic, key } of batch) spool.add(`${topic} ${key}`)
    },
    spooled: (topic, key) => spool.has(`${topic} ${key}`),
    async cancel(id) {
      calls.push(`cancel ${id}`)
      return 'cancelled'
    },
    async reschedule(id, _topic, notBefore) {
      calls.push(`reschedule ${id} ${notBefore}`)
      return 'rescheduled'
    },
    async prepare(message) {
      calls.push(`prepare ${message.id}`)
      messages.push(message)
      return {
        signal: new AbortController().signal,
        async commit() {
          calls.push('commit')
        },
        async rollback() {
          calls.push('rollback')
        },
      }
    },
    check(topic) {
      checked.add(topic)
      return () => void checked.delete(topic)
    },
    checks: (topic) => checked.has(topic),
    // What consumers and operators ask of a keeper is not here.
    ...({} as Omit<Keeper, 'hold' | 'spooled' | 'cancel' | 'reschedule' | 'prepare' | 'check' | 'checks'>),
  }
  return keeper
}

/** A store of which senders look at nothing but what it keeps. */
export function storeDouble(held = true): Store {
  const not = (): never => {
    throw new Error('not for senders')
  }
  return {
    name: 'double',
    '~store': undefined,
    scope: 'shared',
    keeps: { held, claims: true, transactions: true },
    transaction: not,
    once: not,
    lock: not,
    close: not,
    [Symbol.asyncDispose]: not,
  }
}
