// What each pattern adds per message: handling on the memory adapter with it in `use`, beside the same without.
import type { ConsumeExtension } from '@posthorn/core'
import { connectAdapter, retry } from '@posthorn/core'
import { memory } from '@posthorn/memory'
import { adaptive } from '../packages/reliability/src/adaptive.ts'
import { breaker } from '../packages/reliability/src/breaker.ts'
import { bulkhead } from '../packages/reliability/src/bulkhead.ts'
import { idempotent } from '../packages/reliability/src/idempotent.ts'
import { rateLimit } from '../packages/reliability/src/rate-limit.ts'
import { retryBudget } from '../packages/reliability/src/retry-budget.ts'
import { skipOlder } from '../packages/reliability/src/skip-older.ts'
import { timeout } from '../packages/reliability/src/timeout.ts'
import type { BenchFile, Block, Case } from './harness/case.ts'
import { measured } from './parts/measuring.ts'
import { ordersOf, sendBy } from './parts/through.ts'

const many = 100_000

/** Sends and handles so many with these in `use`. */
const handled =
  (use: () => readonly ConsumeExtension[]): Block =>
  async (scale) => {
    const broker = await connectAdapter(memory(), { log: false })
    const orders = ordersOf(0)
    let count = 0
    let wanted = 0
    let wake = (): void => {}
    await broker.consume(orders, { group: 'bench', concurrency: 256, window: 1_000, use: use() }, async () => {
      if (++count === wanted) wake()
    })
    const round = async (messages: number): Promise<void> => {
      wanted = count + messages
      const done = new Promise<void>((resolve) => {
        wake = resolve
      })
      await Promise.all([sendBy(broker, orders, messages, 256), done])
    }
    await round(5_000)
    const messages = Math.ceil(many * scale)
    const sample = await measured(messages, () => round(messages))
    await broker.close()
    return sample
  }

/** A pattern may cost so many µs of CPU beside the same without it. */
const adds = (name: string, plus: number, use: () => ConsumeExtension): Case => ({
  what: `${name}: handling on memory, 256 at once`,
  posthorn: handled(() => [use()]),
  reference: { name: `without it + ${plus}`, block: handled(() => []), plus },
  goals: [{ id: `cost.${name}`, unit: 'µs CPU/message', atMost: 1 }],
})

export const { cases }: BenchFile = {
  cases: [
    adds('retry', 2, () => retry({ attempts: 5 })),
    adds('retryBudget', 3, () => retryBudget()),
    adds('breaker', 3, () => breaker({ failures: 5, openMs: 1_000 })),
    adds('bulkhead', 3, () => bulkhead({ max: 1_000 })),
    adds('rateLimit', 3, () => rateLimit({ perSecond: 1e9, burst: 1_000_000 })),
    adds('adaptive', 5, () => adaptive({ targetMs: 1_000, min: 256, max: 256 })),
    adds('skipOlder', 3, () => skipOlder({ olderThanMs: 1e9, consent: 'discard' })),
    adds('timeout', 15, () => timeout(60_000)),
    adds('idempotent', 30, () => idempotent()),
    adds('idempotent-claim', 30, () => idempotent({ mode: 'claim' })),
  ],
}
