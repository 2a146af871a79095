// Defects that memory alone cannot show: what finds them runs where the patterns are, or where a broker can be cut, frozen and killed.
import type { Adapter } from '@posthorn/core'
import { describe, expect, test } from 'vitest'
import type { DefectName } from '../defects/defects.ts'
import { always } from '../defects/place.ts'
import { scenarioNamed } from './chapters.ts'
import { faceDefects } from './face-defects.ts'
import type { Harness } from './harness.ts'
import { type Kill, killOf } from './kills.ts'
import { harnessWith, runScenario } from './outcome.ts'
import type { Scenario } from './scenario.ts'
import { type storeDefects, withStoreDefect } from './store-defects.ts'

/** Which part is wrong on purpose, and how. */
type Wrong =
  | { readonly driver: DefectName; readonly place?: typeof always }
  | { readonly store: keyof typeof storeDefects }
  | { readonly face: keyof typeof faceDefects }

/** `says`: what the scenario must say, where more could go wrong with it. */
type Seed = Wrong & { readonly says?: RegExp }

/** By scenario, with one defect that it finds. */
export const seeds = {
  /** Needs what the umbrella adds: `openKeeper` and `inbox`. */
  patterns: {
    'patterns.outbox-rolls-back': { driver: 'ignore-transaction', place: always },
    'patterns.rule-11-check-back': { store: 'claim-too-early' },
    'patterns.rule-11-half-message': { face: 'half-counts-anyway' },
    'patterns.rule-12-commits-on-ack': { driver: 'ignore-transaction', place: always },
    'patterns.rule-13-inbox': { store: 'once-always' },
    'patterns.rule-19-park': { store: 'range-backwards' },
    'patterns.rule-23-seek': { store: 'once-always' },
    'spool.order-of-a-key': { store: 'insert-nothing' },
    'spool.outlives-its-process': { store: 'range-nothing' },
  },
  /** Needs a client that is not ours, and what the umbrella adds. */
  'other clients': {
    'joining.read': { driver: 'lose-received', place: always },
    'joining.rule-13-by': { store: 'once-always' },
    'joining.rule-13-needs-by': { face: 'takes-invalid', says: /was not refused/ },
  },
  /** Needs a broker to which faults can be done. */
  faults: {
    'surviving.cut': { driver: 'lose-one', says: /everything that was sent is handled/ },
    'surviving.freeze': { driver: 'lose-one', says: /everything that was sent is handled/ },
    'surviving.kill': { driver: 'lose-one', says: /everything that was sent is handled/ },
    'surviving.rule-3-deadline': { face: 'deadline-unheard', says: /the send/ },
  },
} satisfies Record<string, Readonly<Record<string, Seed>>>

/** The defect's name. */
export function nameOf(seed: Seed): string {
  return 'driver' in seed ? seed.driver : 'store' in seed ? seed.store : seed.face
}

/** Registers a test for each scenario of the set: it passes on this harness, and finds its defect. */
export function seededDefects(harness: Harness, set: keyof typeof seeds): void {
  describe.concurrent(`defects found by ${set} on ${harness.name}`, () => {
    for (const [id, seed] of Object.entries<Seed>(seeds[set]))
      test(`${nameOf(seed)} by ${id}`, { timeout: 180_000 }, async () => {
        const scenario = scenarioNamed(id)
        expect.assert(scenario !== undefined)
        const kill = await found(scenario, harness, seed)
        expect(kill, 'the scenario did not find the defect').toMatchObject({ killed: true })
        if (kill.killed && seed.says !== undefined) expect(String(kill.error)).toMatch(seed.says)
      })
  })
}

async function found(scenario: Scenario, harness: Harness, seed: Wrong): Promise<Kill> {
  if ('driver' in seed) return killOf(scenario, harness, { defect: seed.driver, place: seed.place })
  const outcome = await runScenario(
    scenario,
    'store' in seed
      ? withStores(harness, (adapter) => withStoreDefect(adapter, seed.store))
      : { ...harness, face: faceDefects[seed.face]?.wrap },
  )
  if (outcome.outcome !== 'failed') return { killed: false, because: `it ${outcome.outcome}` }
  if (outcome.inSetUp) return { killed: false, because: `its set-up failed: ${String(outcome.error)}` }
  return { killed: true, error: outcome.error }
}

/** The store is the adapter's own, or stands beside it. */
function withStores(harness: Harness, change: (adapter: Adapter) => Adapter): Harness {
  const { store } = harness
  if (store === undefined) return harnessWith(harness, change)
  return { ...harness, store: (namespace) => change(store(namespace)) }
}
