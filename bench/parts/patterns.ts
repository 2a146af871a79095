// A pattern on a transport: what it adds to a message that is sent and handled, and how often it asks a store that stands beside.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Adapter,
  type Broker,
  type ConsumeExtension,
  connectAdapter,
  type Delivery,
  type Guarantee,
  type Producer,
  type Store,
  type Topic,
  type Verdict,
} from '@posthorn/core'
import { memory } from '@posthorn/memory'
import { sqlite } from '@posthorn/sqlite'
import { idempotent } from '../../packages/reliability/src/idempotent.ts'
import { openKeeper } from '../../packages/reliability/src/keeper.ts'
import { slots } from '../../packages/reliability/src/slots.ts'
import type { Block } from '../harness/case.ts'
import { measured, type Order, orderOf } from './measuring.ts'
import { counted } from './store-calls.ts'
import { ordersOf } from './through.ts'

/** Where a pattern is measured. */
export type Place = 'memory' | 'sqlite'

/** What is sent, how, and what is done with it; what is left out is a plain send and a handler that does nothing. */
export interface Pattern {
  readonly use?: () => readonly ConsumeExtension[]
  readonly options?: {
    readonly onFailure?: 'park'
    readonly order?: 'none'
    readonly guarantee?: 'exactly-once-effects'
    readonly concurrency?: number | { readonly process: number; readonly group: number }
  }
  readonly keyed?: boolean
  readonly send?: (producer: Producer, orders: Topic<Order>, n: number, store: Store) => Promise<unknown>
  readonly handle?: (delivery: Delivery<Order>, store: Store) => Promise<Verdict | undefined>
  /** Done before the clock starts. */
  readonly prepare?: ((store: Store) => Promise<void>) | undefined
  /** Nothing of it is ever handled. */
  readonly silent?: boolean
  /** Largest number of messages, where each is dear. */
  readonly most?: number
}

const patterns = { openKeeper, inbox: idempotent, slots }

const plainSend: NonNullable<Pattern['send']> = (producer, orders, n) => producer.send(orders, orderOf(n))

/** An adapter of a place, in a folder that goes with the work. */
async function placed<R>(place: Place, work: (adapter: () => Adapter) => Promise<R>): Promise<R> {
  if (place === 'memory') return work(() => memory())
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-bench-'))
  let files = 0
  try {
    return await work(() => sqlite({ path: join(folder, `${files++}.db`) }) as Adapter)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Sends and handles `count` messages by callers that each await their last one. */
function rounds(broker: Broker, orders: Topic<Order>, { send = plainSend, silent = false }: Pattern, store: Store) {
  let handled = 0
  let wanted = 0
  let wake = (): void => {}
  const producer = broker.producer({ buffer: 1_000 })
  return {
    handled(): void {
      if (++handled === wanted) wake()
    },
    async round(count: number): Promise<void> {
      wanted = handled + count
      const done = Promise.withResolvers<void>()
      if (silent) done.resolve()
      wake = done.resolve
      let next = 0
      const caller = async (): Promise<void> => {
        while (next < count) await send(producer, orders, next++, store)
      }
      await Promise.all([...Array.from({ length: 256 }, caller), done.promise])
    },
  }
}

async function consuming(broker: Broker, orders: Topic<Order>, pattern: Pattern, store: Store, ended: () => void) {
  const { use = () => [], options = {}, handle } = pattern
  const guarantee: Guarantee = options.guarantee ?? 'at-least-once'
  const given = { group: 'bench', concurrency: 256, window: 1_000, ...options, guarantee, use: use() }
  await broker.consume(orders, given, async (delivery) => {
    const verdict = await handle?.(delivery, store)
    // What comes again has not ended.
    if (verdict?.verdict !== 'nack') ended()
    return verdict
  })
}

/** What it costs where the transport is its own store. */
export const through =
  (pattern: Pattern, place: Place): Block =>
  (scale) =>
    placed(place, async (adapter) => {
      const broker = await connectAdapter(adapter(), { log: false }, patterns)
      const orders = ordersOf(pattern.keyed === true ? 64 : 0)
      const { store } = broker
      await pattern.prepare?.(store)
      broker.checkHalf(orders, async () => 'unknown')
      const { round, handled } = rounds(broker, orders, pattern, store)
      await consuming(broker, orders, pattern, store, handled)
      await round(1_000)
      const most = pattern.most ?? (place === 'memory' ? 100_000 : 10_000)
      const messages = Math.ceil(most * scale)
      const sample = await measured(messages, () => round(messages))
      await broker.close({ drainMs: 1_000 })
      return sample
    })

/** How often it asks a store that stands beside a broker in memory. */
export const asking =
  (pattern: Pattern, place: Place): Block =>
  (scale) =>
    placed(place, async (adapter) => {
      const own = await connectAdapter(adapter(), { log: false })
      await pattern.prepare?.(own.store)
      const { store, calls } = counted(own.store)
      const broker = await connectAdapter(memory(), { log: false, store, singleHost: true }, patterns)
      const orders = ordersOf(pattern.keyed === true ? 64 : 0)
      broker.checkHalf(orders, async () => 'unknown')
      const { round, handled } = rounds(broker, orders, pattern, store)
      await consuming(broker, orders, pattern, store, handled)
      await round(500)
      calls()
      const messages = Math.ceil(5_000 * scale)
      const sample = await measured(messages, () => round(messages))
      const asked = calls()
      await broker.close({ drainMs: 1_000 })
      await own.close()
      return { ...sample, more: { 'store calls/message': asked / messages } }
    })
