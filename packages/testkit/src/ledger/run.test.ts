import { connectAdapter } from '@posthorn/core'
import { memory } from '@posthorn/memory'
import { describe, expect, test } from 'vitest'
import { type Defect, type DefectName, defect } from '../defects/defects.ts'
import type { Place } from '../defects/place.ts'
import { type CheckResult, check } from './checker.ts'
import type { FindingName } from './findings.ts'
import { memoryLedger } from './ledger.ts'
import { format } from './report.ts'
import { ledgerRun, runChecks } from './run.ts'

/** One ordinary run on a memory broker whose clock is moved. */
async function run(messages: number, wrong?: Defect): Promise<CheckResult> {
  const plain = memory({ clock: 'manual' })
  const adapter = wrong?.adapter(plain) ?? plain
  const hand = await connectAdapter(plain, { log: false })
  const client = hand.driver.client as { now(): number; advance(ms: number): Promise<void> }
  const ledger = memoryLedger(client.now)
  await ledgerRun({
    connect: () => connectAdapter(adapter, { log: false }),
    ledger,
    messages,
    drainMs: 5_000,
    pass: client.advance,
  })
  await hand.close()
  return check(ledger.entries, runChecks)
}

test('ten runs without a defect are clean, and have something of everything', async () => {
  for (let i = 0; i < 10; i++) {
    const result = await run(280 + i)
    expect(result.ok, format(result)).toBe(true)
    const { acknowledged, cancelled, rolledBack, letters, duplicateDeliveries } = result.counts
    expect([acknowledged, cancelled, rolledBack, letters, duplicateDeliveries]).toEqual([
      272 + i,
      8,
      8,
      expect.any(Number),
      expect.any(Number),
    ])
    expect(letters).toBeGreaterThanOrEqual(16)
    expect(result.lateness.healthy?.count).toBeGreaterThanOrEqual(16)
  }
})

/** What an ordinary run shows of a driver that is wrong. The others need a fault or a look at the seam: the conformance suite has them. */
const shown: readonly (readonly [DefectName, FindingName, Partial<Place> & { readonly messages?: number }])[] = [
  ['lose-one', 'lost', {}],
  ['lose-on-close', 'lost', {}],
  ['lose-received', 'order', {}],
  // What is acknowledged too early is mostly handled all the same; one in some hundred is in need of its next try.
  ['highest-offset', 'lost', { messages: 600 }],
  ['nack-as-ack', 'lost', {}],
  ['hang-settle', 'lost', {}],
  ['double-one', 'duplicate-effect', {}],
  ['ok-as-failed', 'duplicate-effect', {}],
  ['own-group-each', 'duplicate-effect', {}],
  ['deliver-twice', 'duplicate-effect', {}],
  ['ack-as-nack', 'duplicate-effect', {}],
  ['swap-two', 'order', { first: 3 }],
  ['swap-received', 'order', {}],
  ['drop-key', 'order', {}],
  ['drop-headers', 'corrupted', {}],
  ['drop-tag', 'corrupted', {}],
  ['corrupt-body', 'wrong-letter', {}],
  ['reuse-buffers', 'wrong-letter', {}],
  ['letter-without-reason', 'wrong-letter', {}],
  ['lose-letter', 'effect-missing', {}],
  ['shelf-hides-one', 'effect-missing', {}],
  ['settle-before-handler', 'effect-missing', {}],
  ['new-id-on-redelivery', 'phantom', {}],
  ['ignore-transaction', 'rolled-back-visible', {}],
  ['cancel-lies', 'cancelled-delivered', {}],
  ['ignore-filter', 'misrouted', {}],
  ['deliver-early', 'early', {}],
  ['deliver-300ms-early', 'early', {}],
  ['forget-ack', 'backlog', {}],
  ['hang-receive', 'close', {}],
  ['hang-close', 'close', {}],
  ['hang-open', 'rejection', {}],
]

describe('a driver with a defect', () => {
  test.each(shown)('%s is found: %s', async (name, finding, { messages = 300, ...place }) => {
    const wrong = defect(name, place)
    const result = await run(messages, wrong)
    expect(wrong.fired(), 'the defect never had an occasion').toBeGreaterThan(0)
    expect(result.ok).toBe(false)
    expect(result.findings[finding].count, format(result)).toBeGreaterThan(0)
  })
})
