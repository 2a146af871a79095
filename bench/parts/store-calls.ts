// How often a pattern asks its store: what a round trip costs on a network, whatever it costs here.
import type { Store, Transaction } from '@posthorn/core'
import { type Claims, defineStore, type Held, partsOf } from '@posthorn/core/driver'

/** The store, and how often it was asked since the last look: calls of its ports and statements in its transactions. Begin and commit are not counted. */
export const counted = (store: Store): { readonly store: Store; readonly calls: () => number } => {
  let calls = 0
  const inner = new WeakMap<Transaction, Transaction>()
  const unwrapped = <T>(given: T): T => (inner.get(given as Transaction) ?? given) as T
  const counting = <P extends Held | Claims>(port: P | undefined): P | undefined =>
    port === undefined
      ? undefined
      : (Object.fromEntries(
          Object.entries(port).map(([name, call]) => [
            name,
            // Watching is no question.
            name === 'watch'
              ? call
              : (...args: readonly unknown[]) => {
                  calls++
                  return (call as (...args: readonly unknown[]) => unknown)(...args.map(unwrapped))
                },
          ]),
        ) as unknown as P)
  const wrapped = (tx: Transaction): Transaction => {
    const outer: Transaction = {
      query(text, values) {
        calls++
        return tx.query(text, values)
      },
    }
    inner.set(outer, tx)
    return outer
  }
  const parts = partsOf(store)
  const { transaction } = parts
  return {
    store: defineStore({
      ...parts,
      held: counting(parts.held),
      claims: counting(parts.claims),
      transaction: transaction && ((work) => transaction((tx) => work(wrapped(tx)))),
      owns: (tx) => parts.owns(unwrapped(tx)),
      close: async () => {},
    }),
    calls() {
      const since = calls
      calls = 0
      return since
    },
  }
}
