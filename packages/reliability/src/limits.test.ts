import { connectAdapter, fixed, retry, topic } from '@posthorn/core'
import { type Claims, defineStore, partsOf } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import { describe, expect, it } from 'vitest'
import { adaptive } from './adaptive.ts'
import { breaker } from './breaker.ts'
import { bulkhead } from './bulkhead.ts'
import { rateLimit } from './rate-limit.ts'
import { retryBudget } from './retry-budget.ts'
import { rig } from './rig.ts'
import { skipOlder } from './skip-older.ts'
import { timeout } from './timeout.ts'

const work = topic<{ n: number }>('work', { groups: ['g'] })
const once = retry({ attempts: 1 })

async function sending(count: number) {
  const { broker, clock } = await rig()
  for (let n = 0; n < count; n++) await broker.producer().send(work, { n })
  return { broker, clock }
}

describe('limits', () => {
  it('timeout ends a start whose handler takes too long, and aborts its signal', async () => {
    const { broker, clock } = await sending(1)
    let aborted = false
    await broker.consume(work, { group: 'g', use: [timeout(1_000), once] }, ({ signal }) => {
      signal.addEventListener('abort', () => {
        aborted = true
      })
      return new Promise(() => {})
    })
    await clock.advance(999)
    expect(aborted).toBe(false)
    await clock.advance(10)
    expect(aborted).toBe(true)
    const reasons = []
    for await (const letter of broker.deadLetters(work, { group: 'g' }).list()) reasons.push(letter.error)
    expect(reasons).toEqual([expect.stringMatching(/took more than 1000 ms/)])
    await broker.close()
  })

  it.each(['consumer', 'group'] as const)(
    'rateLimit starts no more than the rate and the burst allow, per %s',
    async (scope) => {
      const { broker, clock } = await sending(60)
      let started = 0
      await broker.consume(
        work,
        { group: 'g', concurrency: 100, use: [rateLimit({ perSecond: 10, burst: 5, scope })] },
        async () => void started++,
      )
      await clock.advance(1_000)
      expect(started).toBeGreaterThanOrEqual(14)
      expect(started).toBeLessThanOrEqual(15)
      await clock.advance(10_000)
      expect(started).toBe(60)
      await broker.close()
    },
  )

  it('bulkhead lets at most `max` in at once, over all consumers that share it', async () => {
    const { broker, clock } = await sending(20)
    let inside = 0
    let most = 0
    const shared = bulkhead({ max: 3 })
    const handler = async (): Promise<void> => {
      most = Math.max(most, ++inside)
      await Promise.resolve()
      inside--
    }
    await broker.consume(work, { group: 'g', concurrency: 10, use: [shared] }, handler)
    await broker.consume(work, { group: 'h', concurrency: 10, use: [shared] }, handler)
    await clock.advance(1_000)
    expect(most).toBe(3)
    expect((await broker.lag(work, { group: 'g' })).backlog + (await broker.lag(work, { group: 'h' })).backlog).toBe(0)
    await broker.close()
  })

  it('breaker opens after failures in a row, tries one message when its time is over, and closes on success', async () => {
    const { broker, clock } = await sending(10)
    let starts = 0
    let down = true
    await broker.consume(
      work,
      {
        group: 'g',
        concurrency: 1,
        use: [breaker({ failures: 3, openMs: 10_000 }), retry({ attempts: 100, backoff: fixed(1) })],
      },
      async () => {
        starts++
        if (down) throw new Error('down')
      },
    )
    await clock.advance(9_000)
    expect(starts).toBe(3)
    await clock.advance(2_000)
    expect(starts).toBe(4)
    down = false
    await clock.advance(60_000)
    expect((await broker.lag(work, { group: 'g' })).backlog).toBe(0)
    await broker.close()
  })

  it('retryBudget: a dead dependency is asked again no oftener than the budget allows, and no try is used up', async () => {
    const { broker, clock } = await sending(40)
    let first = 0
    let again = 0
    let down = true
    await broker.consume(
      work,
      {
        group: 'g',
        concurrency: 100,
        use: [retryBudget({ ratio: 0.1, perSecond: 2 }), retry({ attempts: 100, backoff: fixed(1) })],
      },
      async ({ attempt }) => {
        if (attempt === 1) first++
        else again++
        if (down) throw new Error('down')
      },
    )
    await clock.advance(10_000)
    expect(first).toBe(40)
    // Two to begin with, a tenth of the first starts, two a second.
    expect(again).toBeGreaterThanOrEqual(20)
    expect(again).toBeLessThanOrEqual(2 + 4 + 20)
    down = false
    await clock.advance(60_000)
    expect((await broker.lag(work, { group: 'g' })).backlog).toBe(0)
    await broker.close()
  })

  it('skipOlder discards what is older than said, by consent alone, and tells of each', async () => {
    expect(() => skipOlder({ olderThanMs: 1_000 } as never)).toThrow(/consent/)
    const { broker, clock } = await sending(3)
    await clock.advance(5_000)
    await broker.producer().send(work, { n: 3 })
    const skipped: string[] = []
    const seen: number[] = []
    const drain = skipOlder({ olderThanMs: 1_000, consent: 'discard', skipped: ({ id }) => void skipped.push(id) })
    await broker.consume(work, { group: 'g', use: [drain] }, async ({ body }) => void seen.push(body.n))
    await clock.advance(1_000)
    expect(skipped).toHaveLength(3)
    expect(seen).toEqual([3])
    expect((await broker.lag(work, { group: 'g' })).backlog).toBe(0)
    await broker.close()
  })

  it('adaptive opens up while the dependency is quick, and closes when it is slow', async () => {
    const { broker, clock } = await sending(2_000)
    const limits: number[] = []
    let ms = 10
    await broker.consume(
      work,
      {
        group: 'g',
        concurrency: 16,
        use: [adaptive({ targetMs: 50, max: 8, changed: (limit) => void limits.push(limit) })],
      },
      () => new Promise((resolve) => void takes(ms, resolve)),
    )
    const open: { readonly at: number; readonly resolve: () => void }[] = []
    function takes(ms: number, resolve: () => void): void {
      open.push({ at: clock.now() + ms, resolve })
    }
    const pass = async (turns: number): Promise<void> => {
      for (let turn = 0; turn < turns; turn++) {
        await clock.advance(10)
        for (const each of open.splice(0)) each.at <= clock.now() ? each.resolve() : open.push(each)
      }
    }
    await pass(80)
    expect(Math.max(...limits)).toBe(8)
    ms = 200
    await pass(400)
    expect(limits.at(-1)).toBeLessThanOrEqual(2)
    let closed = false
    void broker.close({ drainMs: 100 }).then(() => {
      closed = true
    })
    while (!closed) await pass(1)
  })

  it('rateLimit per group asks the store once per start and once per wait, however many stand in line', async () => {
    const { broker, clock } = await rig()
    const parts = partsOf(broker.store)
    const claims = parts.claims as Claims
    let asked = 0
    const take: Claims['take'] = (...args) => {
      asked++
      return claims.take(...args)
    }
    const counting = await connectAdapter(memory({ log: 'rate-counting', clock: 'manual' }), {
      log: false,
      store: defineStore({ ...parts, claims: { ...claims, take } }),
      singleHost: true,
    })
    const own = counting.driver.client as typeof clock
    let started = 0
    await counting.consume(
      work,
      { group: 'g', concurrency: 100, use: [rateLimit({ perSecond: 10, burst: 1, scope: 'group' })] },
      async () => void started++,
    )
    for (let n = 0; n < 50; n++) await counting.producer().send(work, { n })
    for (let n = 0; n < 60; n++) {
      await clock.advance(100)
      await own.advance(100)
    }
    expect(started).toBe(50)
    expect(asked).toBeLessThanOrEqual(2 * 50 + 5)
    await counting.close()
    await broker.close()
  })

  it('breaker: what had started before it opened does not close it', async () => {
    const { broker, clock } = await sending(4)
    const early = Promise.withResolvers<void>()
    const starts: number[] = []
    await broker.consume(
      work,
      {
        group: 'g',
        concurrency: 2,
        order: 'none',
        use: [breaker({ failures: 2, openMs: 60_000 }), retry({ attempts: 9, backoff: fixed(10) })],
      },
      async ({ body }) => {
        starts.push(body.n)
        if (body.n === 0) return early.promise
        throw new Error('down')
      },
    )
    await clock.advance(1_000)
    const before = starts.length
    early.resolve()
    await clock.advance(30_000)
    expect(starts.length).toBe(before)
    await clock.advance(40_000)
    expect(starts.length).toBe(before + 1)
    await Promise.all([broker.close(), clock.advance(60_000)])
  })

  it('bulkhead: who is told to stop while it waits leaves the line without having started', async () => {
    const { broker, clock } = await sending(3)
    const starts: number[] = []
    const stuck = Promise.withResolvers<void>()
    const consumer = await broker.consume(
      work,
      { group: 'g', order: 'none', use: [bulkhead({ max: 1 }), once] },
      async ({ body }) => {
        starts.push(body.n)
        await stuck.promise
      },
    )
    await clock.advance(100)
    const stopping = consumer.stop({ drainMs: 1_000 })
    await clock.advance(2_000)
    stuck.resolve()
    await Promise.all([stopping, clock.advance(10_000)])
    expect(starts).toEqual([0])
    expect((await broker.lag(work, { group: 'g' })).backlog).toBeGreaterThanOrEqual(2)
    await broker.close()
  })
})
