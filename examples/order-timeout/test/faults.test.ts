import { expect, test } from 'vitest'
import { ordersUnderKills } from './run.ts'

test('300 orders, 3 kills of the worker between writing and commit: each paid or cancelled, each lamp and mail once', {
  timeout: 120_000,
}, async () => {
  const result = await ordersUnderKills({ orders: 300, kills: 3, timeoutMs: 10_000, patienceMs: 60_000 })
  expect(result).toMatchObject({ broken: [], kills: 3, deadLetters: 0 })
  // Both ends are common; how many payments come in time while workers die is this machine's matter.
  expect(result.paid).toBeGreaterThanOrEqual(50)
  expect(result.cancelled).toBeGreaterThanOrEqual(50)
})
