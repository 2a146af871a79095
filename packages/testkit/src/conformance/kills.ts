import type { Adapter } from '@posthorn/core'
import { type DefectName, defect } from '../defects/defects.ts'
import type { Harness } from './harness.ts'
import { harnessWith, runScenario } from './outcome.ts'
import type { Scenario } from './scenario.ts'

/** A defect and where it fires; without a place, at its own. */
export interface Killer {
  readonly defect: DefectName
  readonly place?: { readonly first: number; readonly every: number } | undefined
}

/** What became of a scenario on a driver that is wrong on purpose. */
export type Kill =
  /** The defect fired and the scenario's own assertion failed. */
  { readonly killed: true; readonly error: unknown } | { readonly killed: false; readonly because: string }

/** Runs a scenario with the defect between core and driver. */
export async function killOf(scenario: Scenario, harness: Harness, killer: Killer): Promise<Kill> {
  const seeded = defect(killer.defect, killer.place)
  const outcome = await runScenario(
    scenario,
    harnessWith(harness, (adapter: Adapter) => seeded.adapter(adapter)),
  )
  if (outcome.outcome !== 'failed') return { killed: false, because: `it ${outcome.outcome}` }
  if (outcome.inSetUp) return { killed: false, because: `its set-up failed: ${String(outcome.error)}` }
  if (seeded.fired() === 0) return { killed: false, because: `the defect never fired: ${String(outcome.error)}` }
  return { killed: true, error: outcome.error }
}
