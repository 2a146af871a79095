import { topic } from '@posthorn/core'
import { describe, expect, it } from 'vitest'
import { pauseOnBurst } from './pause-on-burst.ts'
import { rig } from './rig.ts'

const orders = topic<number>('orders', { groups: ['billing'] })
const reports = topic<number>('reports', { groups: ['nightly'] })

/** A consumer of reports that gives way to billing's orders, and what happens to it. */
async function giving(options: { readonly atMostMs?: number } = {}) {
  const { broker, clock } = await rig()
  const seen: number[] = []
  const changes: [boolean, number][] = []
  const use = [
    pauseOnBurst({
      of: orders,
      group: 'billing',
      above: 10,
      below: 2,
      ...options,
      changed: (paused, backlog) => void changes.push([paused, backlog]),
    }),
  ]
  const consumer = await broker.consume(
    reports,
    { group: 'nightly', use, concurrency: 1 },
    async ({ body }) => void seen.push(body),
  )
  const burst = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await broker.producer().send(orders, n)
  }
  const report = async (n: number): Promise<void> => {
    await broker.producer().send(reports, n)
    await clock.advance(2_000)
  }
  return { broker, clock, seen, changes, consumer, burst, report }
}

describe('pauseOnBurst', () => {
  it('gives way while the others have a burst, and goes on when it has passed', async () => {
    const { broker, clock, seen, changes, burst, report } = await giving()
    await report(1)
    await burst(10)
    await report(2)
    expect(changes).toEqual([])
    await burst(1)
    await clock.advance(1_500)
    await report(3)
    expect(seen).toEqual([1, 2])
    expect(changes).toEqual([[true, 11]])
    expect((await broker.health()).checks.map(({ detail }) => detail)).toContainEqual(
      expect.stringMatching(/^paused, /),
    )
    // Its own message lies with the broker, for another member that does not give way.
    expect((await broker.lag(reports, { group: 'nightly' })).backlog).toBe(1)
    const billing = await broker.consume(orders, { group: 'billing' }, async () => {})
    await clock.advance(2_000)
    expect(changes).toEqual([
      [true, 11],
      [false, 0],
    ])
    expect(seen).toEqual([1, 2, 3])
    await billing.stop()
    await burst(11)
    await clock.advance(1_500)
    await report(4)
    expect(seen).toEqual([1, 2, 3])
    await broker.close()
  })

  it('gives way for so long at most, and again only after the burst has passed', async () => {
    const { broker, clock, seen, changes, burst, report } = await giving({ atMostMs: 30_000 })
    await burst(11)
    await clock.advance(1_500)
    await report(1)
    await clock.advance(20_000)
    expect(seen).toEqual([])
    await clock.advance(20_000)
    expect(seen).toEqual([1])
    await burst(20)
    await report(2)
    expect(seen).toEqual([1, 2])
    const billing = await broker.consume(orders, { group: 'billing' }, async () => {})
    await clock.advance(2_000)
    await billing.stop()
    await burst(11)
    await clock.advance(2_000)
    expect(changes.map(([paused]) => paused)).toEqual([true, false, true])
    await broker.close()
  })

  it('does not end a pause of the user, nor does the user end its own', async () => {
    const { broker, clock, seen, consumer, burst, report } = await giving()
    await burst(11)
    await clock.advance(1_500)
    await consumer.pause()
    await consumer.resume()
    await report(1)
    expect(seen).toEqual([])
    await consumer.pause()
    await broker.consume(orders, { group: 'billing' }, async () => {})
    await clock.advance(3_000)
    expect(seen).toEqual([])
    await consumer.resume()
    await clock.advance(100)
    expect(seen).toEqual([1])
    await broker.close()
  })

  it('is refused where nobody else could end it, and says what it does', async () => {
    const { broker } = await rig()
    const own = { group: 'billing', use: [pauseOnBurst({ of: orders, group: 'billing', above: 10 })] }
    await expect(broker.consume(orders, own, async () => {})).rejects.toThrow(/its own backlog.*name another group/)
    const given = { group: 'nightly', use: own.use }
    expect(String(await broker.explain(reports, given))).toMatch(
      /gives way +emulated +paused while more than 10 wait for billing of orders, until 5 do/,
    )
    const one = { of: orders, group: 'billing', above: 10 }
    expect(() => pauseOnBurst({ ...one, below: 10 })).toThrow(/below 10/)
    expect(() => pauseOnBurst({ ...one, above: 0 })).toThrow(/above/)
    expect(() => pauseOnBurst({ ...one, atMostMs: 0 })).toThrow(/atMostMs/)
    expect(() => pauseOnBurst({ ...one, of: 'orders' as never })).toThrow(/topic\(\)/)
    await broker.close()
  })
})
