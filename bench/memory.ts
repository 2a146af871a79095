// The memory adapter end to end: what core adds to a driver that has no network (G13), and whether the heap stays flat.
import { type Arrival, type Driver, type Envelope, newId, planOf, systemClock } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import type { BenchFile, Block, Case } from './harness/case.ts'
import { measured, type Order, orderOf } from './parts/measuring.ts'
import { counting, ordersOf, quiet, sendBy } from './parts/through.ts'

/** Messages of a row, as the goals name them. */
const many = 1_000_000

const endToEnd =
  (lanes: number): Block =>
  async (scale) => {
    const count = Math.ceil(many * scale)
    const broker = await quiet(memory())
    const orders = ordersOf(lanes)
    const consumer = await counting(broker, orders, lanes)
    await sendBy(broker, orders, 50_000, 1_000)
    await consumer.reached(50_000)
    const sample = await measured(count, async () => {
      const all = consumer.reached(50_000 + count)
      await sendBy(broker, orders, count, 1_000)
      await all
    })
    await broker.close()
    return sample
  }

const envelope = (order: Order, lanes: number): Envelope => ({
  id: newId(Date.now()),
  topic: 'orders',
  key: `key-${order.id % lanes}`,
  tag: undefined,
  headers: {},
  body: Buffer.from(JSON.stringify(order)),
  contentType: 'application/json',
  sentAt: Date.now(),
  expiresAt: undefined,
  priority: undefined,
  version: undefined,
  generation: 0,
  failures: 0,
  history: [],
  lone: 0,
  replyTo: undefined,
  correlationId: undefined,
})

const connected = (): Promise<Driver> =>
  planOf(memory()).connect({
    namespace: '',
    topology: 'declare',
    connectTimeoutMs: 1_000,
    clock: systemClock,
    clientId: 'bench',
    report: () => {},
    signal: new AbortController().signal,
  })

/**
 * The same by hand on the seam: batches of 500, an async handler per message, and settled together what may be: a message of each key, since the
 * next of a key begins only when the one before it is known to be settled.
 */
const byHand =
  (lanes: number): Block =>
  async (scale) => {
    const count = Math.ceil(many * scale)
    const driver = await connected()
    const { signal } = new AbortController()
    const spec = {
      name: 'orders',
      partitions: 1,
      groups: [{ name: 'bench', order: 'key', filter: undefined }],
      retentionMs: undefined,
      keyed: true,
      priority: undefined,
      on: undefined,
    } as const
    await driver.declare(spec, signal)
    const source = await driver.open(
      {
        source: spec,
        mode: 'shared',
        group: 'bench',
        member: 'by-hand',
        order: 'key',
        window: 1_000,
        from: 'earliest',
        filter: undefined,
        report: () => {},
      },
      signal,
    )
    let sum = 0
    const handle = async (arrival: Arrival): Promise<void> => {
      sum += (JSON.parse(Buffer.from(arrival.body).toString()) as Order).id
    }
    const round = async (messages: number): Promise<void> => {
      for (let sent = 0, settled = 0; settled < messages; ) {
        const size = Math.min(500, messages - sent)
        if (size > 0) {
          await driver.send(
            Array.from({ length: size }, (_, n) => envelope(orderOf(sent + n), lanes)),
            { signal },
          )
          sent += size
        }
        const arrivals = await source.receive(500, signal)
        for (let from = 0; from < arrivals.length; from += lanes) {
          const together = arrivals.slice(from, from + lanes)
          for (const arrival of together) await handle(arrival)
          await source.settle(together.map(({ token }) => ({ token, verdict: 'ack' })))
        }
        settled += arrivals.length
      }
    }
    await round(50_000)
    const sample = await measured(count, () => round(count))
    await driver.close()
    if (sum === 0) throw new Error('nothing was handled')
    return sample
  }

/** How much the heap rises over the second half, in percent of its mean: by a line through ten forced collections. */
const rise: Block = async (scale) => {
  const count = Math.ceil(10 * many * scale)
  const broker = await quiet(memory())
  const orders = ordersOf(16)
  const consumer = await counting(broker, orders, 16)
  const heaps: number[] = []
  let sent = 0
  const part = async (size: number): Promise<void> => {
    sent += size
    const all = consumer.reached(sent)
    await sendBy(broker, orders, size, 1_000)
    await all
  }
  await part(Math.ceil(count / 2))
  const size = Math.ceil(count / 20)
  const sample = await measured(size * 10, async () => {
    for (let n = 0; n < 10; n++) {
      await part(size)
      globalThis.gc?.()
      heaps.push(process.memoryUsage().heapUsed)
    }
  })
  await broker.close()
  return { ...sample, more: { '% of the heap': Math.max(riseOf(heaps), 0.01) } }
}

/** What a straight line through the figures rises from first to last, in percent of their mean. */
const riseOf = (figures: readonly number[]): number => {
  const middle = (figures.length - 1) / 2
  const mean = figures.reduce((sum, each) => sum + each, 0) / figures.length
  const upper = figures.reduce((sum, each, n) => sum + (n - middle) * (each - mean), 0)
  const lower = figures.reduce((sum, _, n) => sum + (n - middle) ** 2, 0)
  return ((upper / lower) * (figures.length - 1) * 100) / mean
}

/** G13 gives 2 µs to each direction. */
const both = 4

const through = (lanes: number): Case => ({
  what: `memory end to end, 1,000 callers, JSON of 256 B, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`,
  posthorn: endToEnd(lanes),
  reference: { name: `by hand on the seam + ${both}`, block: byHand(lanes), plus: both },
  goals: [{ id: `G13.memory-${lanes}`, unit: 'µs CPU/message', atMost: 1 }],
})

export const { cases }: BenchFile = {
  cases: [
    through(1),
    through(16),
    through(256),
    {
      what: 'heap after a forced collection, last half of 10,000,000 messages, one round',
      posthorn: rise,
      reference: { name: 'bound', plus: 1 },
      rounds: 1,
      goals: [{ id: 'G13.heap', unit: '% of the heap', atMost: 1 }],
    },
  ],
}
