import { expect, test } from 'vitest'
import { faultRun, isClean } from './sqlite.ts'

test('three processes on one SQLite file, each killed while it sends, handles and relays: a clean ledger, a sound file', {
  timeout: 180_000,
}, async () => {
  const result = await faultRun({
    messages: 600,
    kills: 1,
    freezes: 0,
    freezeMs: 0,
    changeMs: 0,
    processes: 3,
    seed: 5,
  })
  expect(result.kills).toBe(3)
  expect(result.check.counts.acknowledged).toBeGreaterThan(300)
  expect(result.check.findings).toMatchObject({
    lost: { count: 0 },
    'duplicate-effect': { count: 0 },
    order: { count: 0 },
  })
  expect(isClean(result)).toBe(true)
})
