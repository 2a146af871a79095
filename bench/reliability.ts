// What each pattern adds per message: CPU beside the same without it, and how often it asks its store (each a round trip on a network).
import type { ConsumeExtension, Store } from '@posthorn/core'
import { connectAdapter, type Producer, retry, type Topic } from '@posthorn/core'
import { memory } from '@posthorn/memory'
import { adaptive } from '../packages/reliability/src/adaptive.ts'
import { breaker } from '../packages/reliability/src/breaker.ts'
import { bulkhead } from '../packages/reliability/src/bulkhead.ts'
import { idempotent } from '../packages/reliability/src/idempotent.ts'
import { openKeeper } from '../packages/reliability/src/keeper.ts'
import { rateLimit } from '../packages/reliability/src/rate-limit.ts'
import { retryBudget } from '../packages/reliability/src/retry-budget.ts'
import { skipOlder } from '../packages/reliability/src/skip-older.ts'
import { timeout } from '../packages/reliability/src/timeout.ts'
import type { BenchFile, Block, Case } from './harness/case.ts'
import { measured, type Order, orderOf } from './parts/measuring.ts'
import { counted } from './parts/store-calls.ts'
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

type SendOne = (producer: Producer, orders: Topic<Order>, n: number, store: Store) => Promise<unknown>

/** Sends and handles with a store beside the broker, and counts how often it is asked per message. */
const asking =
  (use: readonly ConsumeExtension[], send: SendOne, onFailure: 'skip' | 'park' = 'skip'): Block =>
  async (scale) => {
    const own = await connectAdapter(memory(), { log: false })
    const { store, calls } = counted(own.store)
    const broker = await connectAdapter(memory(), { log: false, store, singleHost: true }, { openKeeper })
    const orders = ordersOf(onFailure === 'park' ? 64 : 0)
    broker.checkHalf(orders, async () => 'unknown')
    let count = 0
    let wanted = 0
    let wake = (): void => {}
    const options = { group: 'bench', concurrency: 256, window: 1_000, use, onFailure }
    await broker.consume(orders, options, async () => {
      if (++count === wanted) wake()
    })
    const producer = broker.producer({ buffer: 1_000 })
    const round = async (messages: number): Promise<void> => {
      wanted = count + messages
      const done = new Promise<void>((resolve) => {
        wake = resolve
      })
      let next = 0
      const caller = async (): Promise<void> => {
        while (next < messages) await send(producer, orders, next++, store)
      }
      await Promise.all([...Array.from({ length: 256 }, caller), done])
    }
    await round(500)
    calls()
    const messages = Math.ceil(5_000 * scale)
    const sample = await measured(messages, () => round(messages))
    const asked = calls()
    await broker.close()
    await own.close()
    return { ...sample, more: { 'store calls/message': asked / messages } }
  }

const plainSend: SendOne = (producer, orders, n) => producer.send(orders, orderOf(n))

/** A pattern may ask its store so often per message. */
const asks = (name: string, most: number, block: Block): Case => ({
  what: `${name}: how often the store is asked`,
  posthorn: block,
  reference: { name: 'budget', plus: most },
  goals: [{ id: `asks.${name}`, unit: 'store calls/message', atMost: 1 }],
})

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
    asks('limits', 0.001, asking([retry({ attempts: 5 }), rateLimit({ perSecond: 1e9, burst: 1_000_000 })], plainSend)),
    asks('idempotent', 1.01, asking([idempotent()], plainSend)),
    asks('idempotent-claim', 2.01, asking([idempotent({ mode: 'claim' })], plainSend)),
    asks('rateLimit-group', 1.01, asking([rateLimit({ perSecond: 1e9, burst: 1_000_000, scope: 'group' })], plainSend)),
    asks('park', 1, asking([], plainSend, 'park')),
    // One row in with the commit, one out; many are claimed at once.
    asks(
      'outbox',
      2.5,
      asking([], (producer, orders, n, store) => store.transaction((tx) => producer.send(orders, orderOf(n), { tx }))),
    ),
    asks(
      'schedule',
      2,
      asking([], (producer, orders, n) => producer.send(orders, orderOf(n), { delayMs: 1 })),
    ),
    asks(
      'half',
      3.5,
      asking([], (producer, orders, n) => producer.sendHalf(orders, orderOf(n), async () => {})),
    ),
  ],
}
