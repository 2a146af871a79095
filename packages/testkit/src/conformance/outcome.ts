import type { Adapter } from '@posthorn/core'
import { isMessagingError, planOf } from '@posthorn/core/driver'
import type { Harness } from './harness.ts'
import { type Need, ofTheHarness, type Scenario, unmet } from './scenario.ts'
import { failedInSetUp, type Stage, setStage } from './stage.ts'

/** How a scenario ended. */
export type Outcome =
  | { readonly outcome: 'passed' }
  /** A need is not met, as declared, and what must hold then was checked. */
  | { readonly outcome: 'refused as declared'; readonly lacks: readonly Need[] }
  /** The harness cannot do what the scenario needs. */
  | { readonly outcome: 'not possible here'; readonly lacks: readonly Need[] }
  /** `inSetUp`: before the scenario could say anything, so it proves nothing of what the scenario is about. */
  | { readonly outcome: 'failed'; readonly error: unknown; readonly inSetUp: boolean }

/** Runs one scenario on a stage of its own. Never rejects. */
export async function runScenario(scenario: Scenario, harness: Harness): Promise<Outcome> {
  let strike = async (): Promise<void> => {}
  try {
    const set = await setStage(harness)
    strike = set.strike
    const outcome = await play(scenario, harness, set.stage)
    await strike()
    return outcome
  } catch (error) {
    // What the scenario said matters more than what could not be cleaned up behind it.
    await strike().catch(() => {})
    return { outcome: 'failed', error: withCause(error), inSetUp: failedInSetUp(error) }
  }
}

async function play(scenario: Scenario, harness: Harness, stage: Stage): Promise<Outcome> {
  const { traits, capabilities, plan } = stage
  const lacks = unmet(scenario, { traits, capabilities, plan, harness })
  if (lacks.some(ofTheHarness)) return { outcome: 'not possible here', lacks }
  if (lacks.length === 0) {
    await scenario.run(stage)
    return { outcome: 'passed' }
  }
  if (scenario.refused === undefined)
    throw new Error(`${scenario.id} does not say what must hold where ${lacks.join(' and ')} is missing`)
  await scenario.refused(stage)
  return { outcome: 'refused as declared', lacks }
}

/** The same harness with every adapter changed: how a seeded defect gets between core and a driver. */
export function harnessWith(harness: Harness, change: (adapter: Adapter) => Adapter): Harness {
  return { ...harness, adapter: async (namespace) => change(await harness.adapter(namespace)) }
}

/** The adapter of a plan that was changed. */
export function changedAdapter(
  adapter: Adapter,
  change: (plan: ReturnType<typeof planOf>) => ReturnType<typeof planOf>,
): Adapter {
  return { ...adapter, '~adapter': change(planOf(adapter)) as unknown as Adapter['~adapter'] }
}

function withCause(error: unknown): unknown {
  // vitest shows the message alone of what is not an assertion.
  if (isMessagingError(error)) return new Error(`${error.code}: ${error.message}`, { cause: error })
  return error
}
