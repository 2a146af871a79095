// Stores that are wrong on purpose, each in one way: what the chapters on stores must find.
import type { Adapter, Store } from '@posthorn/core'
import { type Claims, defineStore, type Held, partsOf } from '@posthorn/core/driver'
import { but } from '../defects/place.ts'
import { changedAdapter } from './outcome.ts'

interface Ports {
  readonly held: Held
  readonly claims: Claims
}
interface StoreDefect {
  readonly sentence: string
  readonly wrap: (ports: Ports) => Partial<Ports>
  /** Scenarios that find it. */
  readonly found: readonly string[]
}

/** By name; `found` says which scenarios fail with it. */
export const storeDefects: Readonly<Record<string, StoreDefect>> = {
  'insert-overwrites': {
    sentence: 'a row that is there is replaced',
    wrap: ({ held }) => ({
      held: {
        ...held,
        async insert(rows, tx) {
          for (const { ref, state } of rows) await held.change(ref, { state }, undefined, tx)
          await held.insert(rows, tx)
        },
      },
    }),
    found: ['stores.held-once'],
  },
  'insert-nothing': {
    sentence: 'a row that is put away is not there',
    wrap: ({ held }) => ({ held: { ...held, insert: async () => {} } }),
    found: ['stores.held-once'],
  },
  'topic-lost': {
    sentence: 'a row forgets what is to be declared before it is sent',
    wrap: ({ held }) => ({
      held: {
        ...held,
        insert: (rows, tx) =>
          held.insert(
            rows.map((row) => ({ ...row, topic: undefined })),
            tx,
          ),
      },
    }),
    found: ['stores.held-once'],
  },
  'claim-too-early': {
    sentence: 'a claim takes what is not due',
    wrap: ({ held }) => ({ held: { ...held, claim: (query) => held.claim({ ...query, now: query.now + 3_600_000 }) } }),
    found: ['stores.claim-due', 'stores.lane-waits-for-its-first'],
  },
  'claim-without-lease': {
    sentence: 'a claimed row may be claimed by another at once',
    wrap: ({ held }) => ({ held: { ...held, claim: (query) => held.claim({ ...query, leaseMs: 0 }) } }),
    found: ['stores.claim-one-winner', 'stores.lanes', 'stores.lease-runs-out'],
  },
  'forget-lane': {
    sentence: 'rows of a lane leave in any order',
    wrap: ({ held }) => ({
      held: {
        ...held,
        insert: (rows, tx) =>
          held.insert(
            rows.map((row) => ({ ...row, lane: undefined })),
            tx,
          ),
      },
    }),
    found: ['stores.lanes', 'stores.lane-waits-for-its-first', 'stores.change'],
  },
  'change-any-fence': {
    sentence: 'a former owner changes a row',
    wrap: ({ held }) => ({
      held: {
        ...held,
        async change(ref, expect, to, tx) {
          const row = await held.get(ref, tx)
          return held.change(ref, { ...expect, fence: row?.fence }, to, tx)
        },
      },
    }),
    found: ['stores.lease-runs-out'],
  },
  'change-any-state': {
    sentence: 'a change does not look at the state that it expects',
    wrap: ({ held }) => ({
      held: {
        ...held,
        async change(ref, expect, to, tx) {
          const row = await held.get(ref, tx)
          return held.change(ref, { ...expect, state: row?.state ?? expect.state }, to, tx)
        },
      },
    }),
    found: ['stores.change'],
  },
  'range-backwards': {
    sentence: 'rows are read in the wrong order',
    wrap: ({ held }) => ({ held: { ...held, range: async (query) => [...(await held.range(query))].reverse() } }),
    found: ['stores.range', 'stores.change'],
  },
  'range-nothing': {
    sentence: 'rows that are there are not read',
    wrap: ({ held }) => ({ held: { ...held, range: async () => [] } }),
    found: ['stores.range'],
  },
  'insert-outside-transaction': {
    sentence: 'a row of a transaction is there though it rolls back',
    wrap: ({ held }) => ({ held: { ...held, insert: (rows) => held.insert(rows) } }),
    found: ['stores.held-in-a-transaction'],
  },
  'watch-nothing': {
    sentence: 'nobody is told of new rows',
    wrap: ({ held }) => ({ held: { ...held, watch: () => () => {} } }),
    found: ['stores.watch'],
  },
  'once-always': {
    sentence: 'every message is new',
    wrap: ({ claims }) => ({ claims: { ...claims, once: async () => true } }),
    found: ['stores.inbox-once'],
  },
  'once-for-ever': {
    sentence: 'an inbox row never expires',
    wrap: ({ claims }) => ({
      claims: { ...claims, once: (space, name, _keepMs, tx) => claims.once(space, name, 1e12, tx) },
    }),
    found: ['stores.inbox-expires'],
  },
  'acquire-always': {
    sentence: 'a name is given to whoever asks',
    wrap: ({ claims }) => {
      let token = 0
      return { claims: { ...claims, acquire: async () => ({ status: 'fresh', token: ++token }) } }
    },
    found: ['stores.lease', 'stores.claim-done', 'stores.acquire-at-once', 'stores.lock'],
  },
  'renew-anybody': {
    sentence: 'a former owner renews',
    wrap: ({ claims }) => ({ claims: { ...claims, renew: async () => true } }),
    found: ['stores.lease'],
  },
  'result-lost': {
    sentence: 'a finished claim forgets its result',
    wrap: ({ claims }) => ({
      claims: {
        ...claims,
        finish: (space, name, token, _, keepMs) => claims.finish(space, name, token, undefined, keepMs),
      },
    }),
    found: ['stores.claim-done'],
  },
  'bucket-without-bottom': {
    sentence: 'a bucket always gives',
    wrap: ({ claims }) => ({ claims: { ...claims, take: async () => 0 } }),
    found: ['stores.bucket'],
  },
}

/** The adapter with a store that has this defect. */
export function withStoreDefect(adapter: Adapter, name: string): Adapter {
  const defect = storeDefects[name]
  const wrong = (store: Store | undefined): Store => {
    if (store === undefined || defect === undefined) throw new Error(`no store to build ${name} into`)
    const parts = partsOf(store)
    const { held, claims } = parts
    if (held === undefined || claims === undefined) throw new Error('a store with one port')
    return defineStore({ ...parts, held, claims, ...defect.wrap({ held, claims }) })
  }
  return changedAdapter(adapter, (plan) => ({
    ...plan,
    openStore: async (context) => wrong(await plan.openStore?.(context)),
    connect: async (context) => {
      const driver = await plan.connect(context)
      return but(driver, { store: wrong(driver.store) })
    },
  }))
}
