import { type ConsumeExtension, topic } from '@posthorn/core'
import { expect, it } from 'vitest'
import { adaptive } from './adaptive.ts'
import { pauseOnBurst } from './pause-on-burst.ts'
import { rig } from './rig.ts'
import { skipOlder } from './skip-older.ts'

const reports = topic<number>('reports', { groups: ['nightly'] })
const orders = topic<number>('orders', { groups: ['billing'] })
const fault = (): never => {
  throw new Error('a fault of the user')
}

it.each<[string, ConsumeExtension]>([
  ['adaptive({ changed })', adaptive({ targetMs: 1_000, max: 2, changed: fault })],
  ['pauseOnBurst({ changed })', pauseOnBurst({ of: orders, group: 'billing', above: 1, below: 0, changed: fault })],
  [
    'skipOlder({ skipped })',
    skipOlder({ olderThanMs: 1_000, consent: 'discard', skipped: (async () => fault()) as () => never }),
  ],
])('a fault in what %s tells is said, and fails no message and stops nothing', async (what, extension) => {
  const lines: string[] = []
  const { broker, clock } = await rig({ log: (line) => void lines.push(line) })
  const attempts: number[] = []
  for (const n of [1, 2]) await broker.producer().send(orders, n)
  await broker.producer().send(reports, 1)
  await clock.advance(5_000)
  await broker.consume(
    reports,
    { group: 'nightly', use: [extension], concurrency: 1 },
    async ({ attempt }) => void attempts.push(attempt),
  )
  await clock.advance(5_000)
  for (let n = 2; n <= 70; n++) await broker.producer().send(reports, n)
  await clock.advance(5_000)
  expect(lines).toContainEqual(`posthorn memory: ${what} threw: Error: a fault of the user`)
  const billing = await broker.consume(orders, { group: 'billing' }, async () => {})
  await clock.advance(10_000)
  await billing.stop()
  // None waits for ever, and none came twice.
  expect(new Set(attempts)).toEqual(new Set([1]))
  expect((await broker.lag(reports, { group: 'nightly' })).backlog).toBe(0)
  await broker.close()
})
