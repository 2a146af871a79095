import type { Capabilities } from '@posthorn/core'
import type { AdapterPlan, Traits } from '@posthorn/core/driver'
import type { Harness } from './harness.ts'
import type { Stage } from './stage.ts'

/** One behaviour that every adapter shows, or refuses because it does not claim it. */
export interface Scenario {
  /** `chapter.behaviour`; stable: defects, matrix and notes name it. */
  readonly id: string
  /** The promise in one sentence. */
  readonly says: string
  readonly needs?: readonly Need[] | undefined
  readonly run: (stage: Stage) => Promise<void>
  /** What must hold where a need is not met. */
  readonly refused?: ((stage: Stage) => Promise<void>) | undefined
}

/** Scenarios of one theme. */
export interface Chapter {
  readonly name: string
  readonly layer: 'seam' | 'broker'
  readonly scenarios: readonly Scenario[]
}

/** What needs are held against. */
export interface Claims {
  readonly traits: Traits
  readonly capabilities: Capabilities
  readonly harness: Harness
  readonly plan: AdapterPlan
}

const needs = {
  history: ({ traits }) => traits.history,
  'no history': ({ traits }) => !traits.history,
  'order across processes': ({ traits }) => traits.order === 'key',
  'delay of any message': ({ traits }) => traits.delay === 'any',
  'delay to a group': ({ traits }) => traits.delay !== 'none',
  'delayed nack': ({ traits }) => traits.nackDelay !== 'none',
  'ordered delayed nack': ({ traits }) => traits.nackDelay === 'ordered',
  cancel: ({ traits }) => traits.cancel,
  priority: ({ traits }) => traits.priority,
  pattern: ({ traits }) => traits.pattern,
  topics: ({ traits }) => traits.topics,
  filter: ({ traits }) => traits.filter,
  atomic: ({ traits }) => traits.atomic,
  effects: ({ traits }) => traits.effects,
  transactional: ({ traits }) => traits.transactional,
  lease: ({ traits }) => traits.leaseMs !== undefined,
  counts: ({ traits }) => traits.counts,
  replay: ({ capabilities }) => capabilities.replay,
  'a store': ({ plan, harness }) => plan.openStore !== undefined || harness.store !== undefined,
  query: ({ capabilities }) => capabilities.query,
  'a keeper': ({ harness }) => harness.parts?.openKeeper !== undefined,
  'an inbox': ({ harness }) => harness.parts?.inbox !== undefined,
  'time in hand': ({ harness }) => harness.pass !== undefined,
  'a cut': ({ harness }) => harness.faults?.cut !== undefined,
  'a black hole': ({ harness }) => harness.faults?.blackHole !== undefined,
  'a kill': ({ harness }) => harness.faults?.kill !== undefined,
  'a freeze': ({ harness }) => harness.faults?.freeze !== undefined,
  'a foreign client': ({ harness }) => harness.foreign !== undefined,
} satisfies Record<string, (claims: Claims) => boolean>

/** What a scenario needs of an adapter, or of what the harness can do. */
export type Need = keyof typeof needs

const ofHarness: ReadonlySet<Need> = new Set(['a cut', 'a black hole', 'a kill', 'a freeze', 'a foreign client'])

const brought: ReadonlySet<Need> = new Set(['a keeper', 'an inbox', 'time in hand'])

/** Those needs that are not met. */
export function unmet(scenario: Scenario, claims: Claims): readonly Need[] {
  return (scenario.needs ?? []).filter((need) => !needs[need](claims))
}

/** Whether it is the harness that cannot, which says nothing of the adapter. */
export function ofTheHarness(need: Need): boolean {
  return ofHarness.has(need)
}

/** Whether the harness left out what the umbrella brings: that it is refused then holds, and says nothing of the adapter either. */
export function ofTheUmbrella(need: Need): boolean {
  return brought.has(need)
}
