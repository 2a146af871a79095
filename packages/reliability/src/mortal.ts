// For the tests of this package: drivers and stores that die at a given call, as a killed process does: before or after the deed, and without a word.
import type { Adapter, Store } from '@posthorn/core'
import {
  type Claims,
  type Driver,
  defineAdapter,
  defineStore,
  type Held,
  partsOf,
  planOf,
  type Traits,
} from '@posthorn/core/driver'

/** When a process dies: at its n-th call, before or after the call has had its effect. */
export interface Death {
  readonly call: number
  readonly after: boolean
}

/** Counts the calls of one process; from its death on none is answered. */
export function life(death: Death | undefined) {
  let calls = 0
  const over = (): boolean => death !== undefined && calls > death.call
  return async function lived<R>(deed: () => Promise<R>): Promise<R> {
    const silence = new Promise<never>(() => {})
    if (over()) return silence
    const fatal = death !== undefined && ++calls > death.call
    if (fatal && !death.after) return silence
    const result = await deed()
    return fatal || over() ? silence : result
  }
}

type Lived = ReturnType<typeof life>

/** The store as one process sees it. */
export function mortalStore(store: Store, lived: Lived): Store {
  const parts = partsOf(store)
  const held = parts.held as Held
  const claims = parts.claims as Claims
  return defineStore({
    ...parts,
    held: {
      ...held,
      insert: (...args) => lived(() => held.insert(...args)),
      claim: (...args) => lived(() => held.claim(...args)),
      change: (...args) => lived(() => held.change(...args)),
      get: (...args) => lived(() => held.get(...args)),
      range: (...args) => lived(() => held.range(...args)),
      nextDue: (...args) => lived(() => held.nextDue(...args)),
    },
    claims,
    close: async () => {},
  })
}

/** The adapter as one process sees it: its sends and what it does to dead letters may be its last. It may have other traits, and send as it should not. */
export function mortalAdapter(
  adapter: Adapter,
  lived: Lived,
  {
    traits = {},
    send: changed = (send) => send,
  }: {
    readonly traits?: Partial<Traits> | undefined
    readonly send?: ((send: Driver['send']) => Driver['send']) | undefined
  } = {},
): Adapter {
  const plan = planOf(adapter)
  return defineAdapter(adapter.name, adapter.capabilities, {
    ...plan,
    traits: { ...plan.traits, ...traits },
    async connect(context) {
      const driver = await plan.connect(context)
      const send = changed((batch, options) => driver.send(batch, options))
      const mortal: Pick<typeof driver, 'send' | 'shelf'> = {
        send: (batch, options) => lived(() => send(batch, options)),
        shelf(topic, group) {
          const shelf = driver.shelf(topic, group)
          return {
            list: (signal) => shelf.list(signal),
            remove: (tokens, signal) => lived(() => shelf.remove(tokens, signal)),
          }
        },
      }
      return Object.assign(Object.create(driver) as typeof driver, mortal)
    },
  })
}

/** How many cases a property has: 500, or `POSTHORN_CASES`; always the same. */
export function cases(perCaseMs = 60) {
  const numRuns = Number(process.env['POSTHORN_CASES'] ?? 500)
  return { fast: { seed: 7, numRuns }, timeout: Math.max(60_000, numRuns * perCaseMs) }
}
