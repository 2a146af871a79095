// How often a pattern asks its store: what a round trip costs on a network, whatever it costs here.
import type { Store } from '@posthorn/core'
import { type Claims, defineStore, type Held, partsOf } from '@posthorn/core/driver'

/** The store, and how often it was asked since the last look. What belongs to a transaction counts as well. */
export const counted = (store: Store): { readonly store: Store; readonly calls: () => number } => {
  let calls = 0
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
                  return (call as (...args: readonly unknown[]) => unknown)(...args)
                },
          ]),
        ) as unknown as P)
  const parts = partsOf(store)
  return {
    store: defineStore({
      ...parts,
      held: counting(parts.held),
      claims: counting(parts.claims),
      close: async () => {},
    }),
    calls() {
      const since = calls
      calls = 0
      return since
    },
  }
}
