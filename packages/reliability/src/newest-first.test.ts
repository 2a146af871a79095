import { topic } from '@posthorn/core'
import { describe, expect, it } from 'vitest'
import { newestFirst } from './newest-first.ts'
import { rateLimit } from './rate-limit.ts'
import { rig } from './rig.ts'

const quotes = topic<number>('quotes', { groups: ['g'] })
const paced = rateLimit({ perSecond: 10, burst: 1 })

describe('newestFirst', () => {
  it('drains a backlog far larger than its window from its new end, uses up no try and never stands idle', async () => {
    const { broker, clock } = await rig()
    const send = (n: number) => broker.producer().send(quotes, n)
    for (let n = 0; n < 400; n++) {
      await send(n)
      await clock.advance(1)
    }
    const seen: number[] = []
    const attempts = new Set<number>()
    await broker.consume(
      quotes,
      { group: 'g', order: 'none', concurrency: 1, window: 40, use: [newestFirst({ asideMs: 5_000 }), paced] },
      async ({ body, attempt }) => {
        seen.push(body)
        attempts.add(attempt)
      },
    )
    await clock.advance(10_000)
    // What starts before the backlog has been seen cannot know what comes; from then on it is the newest of all, down from the end.
    expect(seen.slice(2, 90)).toEqual(Array.from({ length: 88 }, (_, i) => 399 - i))
    await send(1_000)
    await clock.advance(200)
    expect(seen.slice(-3)).toContain(1_000)
    await clock.advance(31_000)
    expect(seen).toHaveLength(401)
    expect(new Set(seen).size).toBe(401)
    expect(attempts).toEqual(new Set([1]))
    await broker.close()
  })

  it('where the broker cannot hold what is handed back, goes by the newest in hand, and explain says so', async () => {
    const { broker, clock } = await rig({ traits: { nackDelay: 'none' } })
    for (let n = 0; n < 50; n++) {
      await broker.producer().send(quotes, n)
      await clock.advance(1)
    }
    const options = { group: 'g', order: 'none', concurrency: 1, window: 20 } as const
    const said = String(await broker.explain(quotes, { ...options, use: [newestFirst()] }))
    expect(said).toMatch(/newest first +emulated +of the 20 in hand/)
    const seen: number[] = []
    await broker.consume(quotes, { ...options, use: [newestFirst(), paced] }, async ({ body }) => void seen.push(body))
    await clock.advance(6_000)
    expect(seen.slice(0, 3)).toEqual([0, 19, 20])
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n))
    await broker.close()
  })

  it('starts what the broker lets nobody hold for longer, however old it is', async () => {
    const { broker, clock } = await rig({ traits: { nackDelay: 'none', holdMs: 4_000 } })
    for (let n = 0; n < 60; n++) {
      await broker.producer().send(quotes, n)
      await clock.advance(1)
    }
    const seen: number[] = []
    await broker.consume(
      quotes,
      { group: 'g', order: 'none', concurrency: 1, window: 30, use: [newestFirst(), paced] },
      async ({ body }) => void seen.push(body),
    )
    await clock.advance(1_900)
    expect(seen).not.toContain(1)
    await clock.advance(300)
    expect(seen).toContain(1)
    await Promise.all([broker.close(), clock.advance(60_000)])
  })

  it('is refused by name where order must be kept, with what to do', async () => {
    const { broker } = await rig()
    const keyed = topic<number>('keyed', { groups: ['g'], key: String })
    const refused = /newestFirst\(\).*order is 'key'; say order: 'none'/
    const options = { group: 'g', use: [newestFirst()] }
    await expect(broker.consume(keyed, options, async () => {})).rejects.toThrow(refused)
    await expect(broker.explain(keyed, options)).rejects.toThrow(refused)
    expect(() => newestFirst({ asideMs: 5 })).toThrow(/asideMs/)
    await broker.close()
  })
})
