import { expect, it } from 'vitest'
import { patternRun } from './reliability.ts'

it('all patterns on, processes killed: effects once, cancelled never delivered, nothing early, half messages as decided', {
  timeout: 180_000,
}, async () => {
  const result = await patternRun({ on: 'sqlite', ids: 1_000, kills: 1, processes: 3, seed: 3 })
  const { faults, counts } = result as NonNullable<typeof result>
  expect(faults).toEqual({
    lost: 0,
    twice: 0,
    early: 0,
    cancelledDelivered: 0,
    rolledBackVisible: 0,
    committedMissing: 0,
    letters: 0,
    undrained: 0,
  })
  expect(counts).toMatchObject({ killed: 3 })
  for (const some of ['cancelled', 'halvesCommitted', 'halvesRolledBack', 'halvesVanished'])
    expect(counts[some]).toBeGreaterThan(0)
})
