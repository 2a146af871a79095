// The second door of testkit: the suite itself, which needs vitest.

import { planOf } from '@posthorn/core/driver'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { capabilityTable } from '../capability-table.ts'
import { chapters } from './chapters.ts'
import { claimsOf, differences } from './claims.ts'
import type { Harness } from './harness.ts'
import { columnOf } from './matrix.ts'
import { runScenario } from './outcome.ts'

export type { Faults, Foreign, Harness } from './harness.ts'
export { seededDefects } from './seeded.ts'

/** Registers every scenario as a test of this file, and the check against the capability table. */
export function conformance(harness: Harness): void {
  describe(`conformance of ${harness.name}`, () => {
    test('declares what the capability table says', async () => {
      const adapter = await harness.adapter('phctable')
      const row = capabilityTable[harness.name]
      expect(row, `the capability table has no row for ${harness.name}`).toBeDefined()
      if (row !== undefined)
        expect(differences(row, claimsOf(adapter.capabilities, planOf(adapter).traits))).toEqual([])
    })
    // The suite waits more than it computes; vitest's own limit of 5 would make a fast broker wait, too.
    const concurrency = harness.concurrency ?? 5
    vi.setConfig({ maxConcurrency: concurrency })
    const gate = gateOf(concurrency)
    const column = columnOf(harness.name)
    const folder = harness.matrix ?? process.env['POSTHORN_MATRIX']
    if (folder !== undefined) afterAll(() => column.write(folder))
    for (const chapter of chapters.filter((each) => harness.chapters?.(each) ?? true)) {
      describe.concurrent(`${chapter.layer}: ${chapter.name}`, () => {
        for (const scenario of chapter.scenarios) {
          test(`${scenario.id}: ${scenario.says}`, { timeout: 180_000 }, async (context) => {
            const outcome = await gate(() => runScenario(scenario, harness))
            column.note(scenario, outcome)
            if (outcome.outcome === 'failed') throw outcome.error
            if (outcome.outcome === 'not possible here') context.skip(`the harness has no ${outcome.lacks.join(', ')}`)
          })
        }
      })
    }
  })
}

/** Lets so many through at once. */
function gateOf(size: number): <R>(work: () => Promise<R>) => Promise<R> {
  let free = size
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
