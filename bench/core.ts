// What core itself costs: G12 and G13 of the goals. No broker, no network.
import { compose } from '../packages/core/src/compose.ts'
import { aloneGate } from '../packages/core/src/consuming/alone.ts'
import { type LaneItem, lanes } from '../packages/core/src/consuming/lanes.ts'
import { settler } from '../packages/core/src/consuming/settler.ts'
import { systemClock } from '../packages/core/src/driver/clock.ts'
import type { Dispatch } from '../packages/core/src/driver/envelope.ts'
import { batcher } from '../packages/core/src/producing/batcher.ts'
import { listOf, type Owner, slotOf } from '../packages/core/src/producing/slot.ts'
import type { BenchFile, Block, Case } from './harness/case.ts'
import { measured, orderOf } from './parts/measuring.ts'
import { installPeers, peer } from './parts/peers.ts'
import { counting, ordersOf, quiet, sendBy } from './parts/through.ts'
import { voidBroker, voidTraits } from './parts/void-broker.ts'

interface Context {
  value: number
}
type Handler = (context: Context) => Promise<void>

/** Calls a chain again and again, each awaited: as a lane does. */
const chained =
  (make: () => Handler): Block =>
  async (scale) => {
    const chain = make()
    const context = { value: 0 }
    const round = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) await chain(context)
    }
    await round(100_000)
    const count = Math.ceil(1_000_000 * scale)
    return measured(count, () => round(count))
  }

const handler: Handler = async (context) => {
  context.value++
}

const ourFive = (): Handler =>
  compose(
    Array.from({ length: 5 }, () => (next: Handler) => async (context: Context) => {
      context.value++
      await next(context)
      context.value++
    }),
    handler,
  )

type Koa = (
  middlewares: readonly ((context: Context, next: () => Promise<void>) => Promise<void>)[],
) => (context: Context, next: () => Promise<void>) => Promise<void>

const koaFive = (): Handler => {
  const chain = peer<Koa>('koa-compose')(
    Array.from({ length: 5 }, () => async (context: Context, next: () => Promise<void>) => {
      context.value++
      await next()
      context.value++
    }),
  )
  return (context) => chain(context, () => handler(context))
}

const lanesAlone: Block = async (scale) => {
  const count = Math.ceil(2_000_000 * scale)
  const items: readonly LaneItem[] = Array.from({ length: 256 }, (_, n) => ({
    lane: `orders\nkey-${n % 64}`,
    alone: false,
  }))
  const round = (messages: number): void => {
    let ended: LaneItem[] = []
    const book = lanes<LaneItem>(16, (item) => ended.push(item), aloneGate(systemClock))
    for (let n = 0; n < messages; ) {
      for (const item of items) book.add(item)
      n += items.length
      while (ended.length > 0) {
        const done = ended
        ended = []
        for (const item of done) book.done(item)
      }
    }
  }
  round(200_000)
  return measured(count, () => round(count))
}

const settlerAlone: Block = async (scale) => {
  const count = Math.ceil(1_000_000 * scale)
  let answered = 0
  const book = settler<number>({ settle: async (batch) => batch.map(() => 'ok') }, () => answered++)
  const tokens = Array.from({ length: 500 }, (_, n) => n)
  const round = async (messages: number): Promise<void> => {
    for (let n = 0; n < messages; n += tokens.length) {
      for (const token of tokens) book.settle({ token, verdict: 'ack' }, token)
      await book.idle()
    }
  }
  await round(100_000)
  return measured(count, () => round(count))
}

const batcherAlone: Block = async (scale) => {
  const count = Math.ceil(500_000 * scale)
  const dispatch = { id: 'x', topic: 'orders', key: undefined, body: new Uint8Array(256) } as Dispatch
  const book = batcher({
    driver: { send: async (batch) => batch.map(() => ({ ok: true, position: undefined })) },
    traits: voidTraits,
    clock: systemClock,
    closing: new AbortController().signal,
  })
  const round = (messages: number): Promise<void> =>
    new Promise((resolve, reject) => {
      let sent = 0
      let settled = 0
      const owner: Owner = {
        timeoutMs: 10_000,
        lingerMs: 0,
        buffer: 10_000,
        admitted: 0,
        outside: listOf(),
        divert: undefined,
        settled: (_, error) => {
          if (error !== undefined) reject(error)
          else if (++settled === messages) resolve()
          else if (sent < messages) one()
        },
      }
      const one = (): void => {
        sent++
        const slot = slotOf(owner, 'orders', 'x', Date.now() + 10_000, dispatch, undefined)
        book.watch(slot, undefined)
        book.add(slot)
      }
      for (let n = 0; n < Math.min(1_000, messages); n++) one()
    })
  await round(50_000)
  return measured(count, () => round(count))
}

/**
 * What a service costs that has run for a while: the compiler works on a thread of its own for the first quarter of a million messages, and
 * the processor time of a block counts it in.
 */
const warm = 300_000
const counted = 1_000_000

const sending: Block = async (scale) => {
  const count = Math.ceil(counted * scale)
  const broker = await quiet(voidBroker())
  const orders = ordersOf(0)
  await sendBy(broker, orders, warm, 1_000)
  const sample = await measured(count, () => sendBy(broker, orders, count, 1_000))
  await broker.close()
  return sample
}

const encoding: Block = async (scale) => {
  const count = Math.ceil(counted * scale)
  let bytes = 0
  const round = async (messages: number): Promise<void> => {
    for (let n = 0; n < messages; n++) {
      bytes += Buffer.from(JSON.stringify(orderOf(n))).length
      await undefined
    }
  }
  await round(warm)
  const sample = await measured(count, () => round(count))
  if (bytes === 0) throw new Error('nothing was encoded')
  return sample
}

const bodies = (): readonly Uint8Array[] =>
  Array.from({ length: 1_000 }, (_, n) => Buffer.from(JSON.stringify(orderOf(n))))

const receiving =
  (keys: number): Block =>
  async (scale) => {
    const count = Math.ceil(counted * scale)
    const broker = await quiet(voidBroker(bodies(), keys))
    const consumer = await counting(broker, ordersOf(keys), 16)
    await consumer.reached(warm)
    const from = consumer.handled
    const sample = await measured(count, () => consumer.reached(from + count))
    await broker.close()
    return sample
  }

const decoding: Block = async (scale) => {
  const count = Math.ceil(counted * scale)
  const all = bodies()
  let sum = 0
  const handle = async (order: { readonly id: number }): Promise<void> => {
    sum += order.id
  }
  const round = async (messages: number): Promise<void> => {
    for (let n = 0; n < messages; n++) await handle(JSON.parse((all[n % all.length] as Buffer).toString()))
  }
  await round(warm)
  const sample = await measured(count, () => round(count))
  if (sum === 0) throw new Error('nothing was decoded')
  return sample
}

const perMessage = (id: string): Case['goals'] => [{ id, unit: 'µs CPU/message', atMost: 1 }]

/** What G13 gives one direction, in µs. */
const budget = 2

export const { cases, prepare }: BenchFile = {
  prepare: async () => {
    installPeers()
    return async () => {}
  },
  cases: [
    {
      what: 'five async middlewares around an async handler',
      posthorn: chained(ourFive),
      reference: { name: 'koa-compose', block: chained(koaFive) },
      goals: [{ id: 'G12', unit: 'µs CPU/message', atMost: 1.5 }],
    },
    {
      what: 'no middleware: nothing but the async handler',
      posthorn: chained(() => compose<Context, void>([], handler)),
      reference: { name: 'budget', plus: 0.15 },
      goals: perMessage('G12.none'),
    },
    {
      what: 'send, 1,000 callers, JSON of 256 B, to a broker that costs nothing',
      posthorn: sending,
      reference: { name: `JSON alone + ${budget}`, block: encoding, plus: budget },
      goals: perMessage('G13.send'),
    },
    {
      what: 'consume, JSON of 256 B, 16 at once, no key, from a broker that costs nothing',
      posthorn: receiving(0),
      reference: { name: `JSON and await + ${budget}`, block: decoding, plus: budget },
      goals: perMessage('G13.receive'),
    },
    {
      what: 'the same in order by 256 keys',
      posthorn: receiving(256),
      reference: { name: `JSON and await + ${budget}`, block: decoding, plus: budget },
      goals: perMessage('G13.receive-by-key'),
    },
    {
      what: 'batcher alone, 1,000 in flight',
      posthorn: batcherAlone,
      reference: { name: 'half the budget', plus: budget / 2 },
      goals: perMessage('G13.batcher'),
    },
    {
      what: 'lanes alone, 16 at once, 64 keys',
      posthorn: lanesAlone,
      reference: { name: 'a quarter of the budget', plus: budget / 4 },
      goals: perMessage('G13.lanes'),
    },
    {
      what: 'settler alone, 500 a turn',
      posthorn: settlerAlone,
      reference: { name: 'a quarter of the budget', plus: budget / 4 },
      goals: perMessage('G13.settler'),
    },
  ],
}
