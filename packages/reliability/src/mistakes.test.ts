// The classic mistakes of each pattern, by name: what breaks where somebody makes it, and does not here.
import { connectAdapter, exponential, fixed, retry, topic } from '@posthorn/core'
import { defineStore, type Held, inboxWindowMs, partsOf } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import { describe, expect, it } from 'vitest'
import { idempotent } from './idempotent.ts'
import { rateLimit } from './rate-limit.ts'
import { rig } from './rig.ts'

const work = topic<{ n: number }>('work', { groups: [{ name: 'g', order: 'key' }], key: ({ n }) => String(n % 2) })

describe('outbox', () => {
  it('mark-then-publish: a relay that dies at any of its calls loses nothing', async () => {
    for (let call = 0; call < 12; call++)
      for (const after of [true, false]) {
        const { broker, clock, another } = await rig({ apart: true })
        await another({ call, after })
        const seen = new Set<number>()
        await broker.consume(work, { group: 'g', order: 'key' }, async ({ body }) => void seen.add(body.n))
        await broker.store.transaction(async (tx) => {
          for (const n of [0, 1, 2]) await broker.producer().send(work, { n }, { tx })
        })
        await clock.advance(1_000)
        // Holding the transaction open while it sends: who died in the middle of it keeps nobody from writing.
        await broker.store.transaction((tx) => broker.producer().send(work, { n: 3 }, { tx }))
        await clock.advance(90_000)
        expect([...seen].sort()).toEqual([0, 1, 2, 3])
        await broker.close()
      }
  })

  it('a notification as the only trigger: what nobody was told of is found all the same', async () => {
    const silent = (held: Held): Held => ({ ...held, watch: () => () => {} })
    const { broker, clock } = await rig({ apart: true, faults: { held: silent } })
    const seen: number[] = []
    await broker.consume(work, { group: 'g', order: 'key' }, async ({ body }) => void seen.push(body.n))
    await clock.advance(1_000)
    await broker.store.transaction((tx) => broker.producer().send(work, { n: 0 }, { tx }))
    await clock.advance(5_000)
    expect(seen).toEqual([0])
    await broker.close()
  })

  it('a lease shorter than the publish deadline: a slow relay is not overtaken by another', async () => {
    let slow = true
    let sends = 0
    const { broker, clock, takes, another } = await rig({
      apart: true,
      faults: {
        send: (send) => async (batch, control) => {
          sends += batch.length
          if (slow) await takes(9_500)
          return send(batch, control)
        },
      },
    })
    await another()
    const seen: number[] = []
    await broker.consume(work, { group: 'g', order: 'key' }, async ({ body }) => void seen.push(body.n))
    await broker.store.transaction((tx) => broker.producer().send(work, { n: 0 }, { tx }))
    await clock.advance(9_000)
    expect(seen).toEqual([])
    await clock.advance(5_000)
    slow = false
    await clock.advance(60_000)
    expect([seen, sends]).toEqual([[0], 1])
    await broker.close()
  })

  it('serial cursor: what commits later than its successor is not skipped', async () => {
    const { broker, clock } = await rig({ apart: true })
    const seen: number[] = []
    await broker.consume(work, { group: 'g', order: 'key' }, async ({ body }) => void seen.push(body.n))
    let finish = (): void => {}
    const slow = broker.store.transaction(async (tx) => {
      await broker.producer().send(work, { n: 0 }, { tx })
      await new Promise<void>((resolve) => {
        finish = resolve
      })
    })
    await clock.advance(1_000)
    await broker.producer().send(work, { n: 1 }, { delayMs: 10 })
    await clock.advance(10_000)
    expect(seen).toEqual([1])
    finish()
    await slow
    await clock.advance(10_000)
    expect(seen).toEqual([1, 0])
    await broker.close()
  })

  it('a head that cannot be sent stops its own key only, and not for ever', async () => {
    const { broker, clock } = await rig({ apart: true })
    const nobody = topic<{ n: number }>('nobody')
    const seen: number[] = []
    await broker.consume(work, { group: 'g', order: 'key' }, async ({ body }) => void seen.push(body.n))
    await broker.store.transaction(async (tx) => {
      await broker.producer().send(nobody, { n: 9 }, { tx, key: 'k' })
      await broker.producer().send(work, { n: 1 }, { tx })
    })
    await clock.advance(60_000)
    expect(seen).toEqual([1])
    await broker.close()
  })
})

describe('inbox', () => {
  it('the note in one store, the effect in another: refused where the store has no transaction for both', async () => {
    const { broker } = await rig()
    const parts = { ...partsOf(broker.store), transaction: undefined }
    const apart = await connectAdapter(
      memory(),
      { log: false, store: defineStore(parts), singleHost: true },
      { inbox: idempotent },
    )
    await expect(
      apart.consume(work, { group: 'g', guarantee: 'exactly-once-effects' }, async () => {}),
    ).rejects.toThrow(/keeps no inbox in a transaction; give connect\(\) store/)
    await apart.close()
    await broker.close()
  })

  it('check-then-insert: copies that run at the same time have one effect', async () => {
    const { broker, clock, another } = await rig()
    const plain = topic<{ n: number }>('plain', { groups: ['g'] })
    const effects = topic<{ n: number }>('effects', { groups: ['e'] })
    const done: number[] = []
    await broker.consume(effects, { group: 'e' }, async ({ body }) => void done.push(body.n))
    const second = await another()
    for (const each of [broker, second])
      await each.consume(
        plain,
        { group: 'g', concurrency: 16, guarantee: 'exactly-once-effects' },
        async ({ body, tx }) => {
          await new Promise((resolve) => setImmediate(resolve))
          await each.producer().send(effects, body, { tx })
        },
      )
    await Promise.all(Array.from({ length: 20 }, () => broker.producer().send(plain, { n: 1 }, { id: 'one' })))
    await clock.advance(120_000)
    expect(done).toEqual([1])
    await second.close()
    await broker.close()
  })
})

describe('retries', () => {
  it('a storm without jitter: what fails together does not come again together', async () => {
    const { broker, clock } = await rig()
    const plain = topic<number>('plain', { groups: ['g'] })
    const again: number[] = []
    const from = clock.now()
    const use = [retry({ attempts: 3, backoff: exponential({ firstMs: 1_000, maxMs: 60_000 }) })]
    await broker.consume(plain, { group: 'g', concurrency: 500, use }, async ({ attempt }) => {
      if (attempt === 1) throw new Error('down')
      again.push(clock.now() - from)
    })
    await broker.producer().sendBatch(
      plain,
      Array.from({ length: 500 }, (_, n) => ({ body: n })),
    )
    for (let ms = 0; ms < 1_200; ms += 10) await clock.advance(10)
    expect(again).toHaveLength(500)
    // Full jitter over a second: of its tenths none has a quarter of all.
    const parts = Array.from({ length: 12 }, (_, n) => again.filter((at) => Math.floor(at / 100) === n).length)
    expect(Math.max(...parts)).toBeLessThan(125)
    await broker.close()
  })

  it('a counter in memory: the failures go with the message to the next process', async () => {
    const { broker, clock, another } = await rig()
    const starts: number[] = []
    const options = { group: 'g', order: 'key', use: [retry({ attempts: 4, backoff: fixed(1_000) })] } as const
    const handler = async ({ attempt }: { readonly attempt: number }): Promise<void> => {
      starts.push(attempt)
      throw new Error('no')
    }
    await broker.producer().send(work, { n: 1 })
    const first = await another()
    await first.consume(work, options, handler)
    await clock.advance(1_500)
    const closing = first.close()
    await clock.advance(100)
    await closing
    await broker.consume(work, options, handler)
    await clock.advance(10_000)
    expect(starts).toEqual([1, 2, 3, 4])
    await broker.close()
  })
})

describe('backlog', () => {
  it('lag, its rate and the time to drain are within a tenth of the truth', async () => {
    const { broker, clock } = await rig()
    const plain = topic<{ n: number }>('plain', { groups: ['g'] })
    await broker.producer().sendBatch(
      plain,
      Array.from({ length: 1_000 }, (_, n) => ({ body: { n } })),
    )
    let handled = 0
    await broker.consume(
      plain,
      { group: 'g', use: [rateLimit({ perSecond: 50, burst: 1 })] },
      async () => void handled++,
    )
    await clock.advance(5_000)
    await broker.lag(plain, { group: 'g' })
    await clock.advance(5_000)
    const lag = await broker.lag(plain, { group: 'g' })
    const truth = 1_000 - handled
    expect(Math.abs(lag.backlog - truth)).toBeLessThanOrEqual(truth / 10)
    expect(Math.abs(lag.ratePerSecond - 50)).toBeLessThanOrEqual(5)
    const from = clock.now()
    while (handled < 1_000) await clock.advance(100)
    const took = clock.now() - from
    expect(Math.abs((lag.drainMs ?? 0) - took)).toBeLessThanOrEqual(took / 10)
    await broker.close()
  })
})

describe('windows', () => {
  it('an inbox that forgets before its messages do is refused where effects must happen once', async () => {
    const broker = await connectAdapter(memory(), { log: false }, { inbox: idempotent })
    const long = topic('long', { retentionMs: inboxWindowMs + 1 })
    await expect(
      broker.consume(long, { group: 'g', guarantee: 'exactly-once-effects' }, async () => {}),
    ).rejects.toThrow(/longer than the inbox remembers/)
    await broker.close()
  })
})
