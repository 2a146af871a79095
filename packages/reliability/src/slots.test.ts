import { type Broker, connectAdapter, topic } from '@posthorn/core'
import { type Claims, defineStore, partsOf } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import { describe, expect, it } from 'vitest'
import { rig } from './rig.ts'
import { slots } from './slots.ts'

const work = topic<number>('work', { groups: ['g'] })
const limited = (group: number) =>
  ({ group: 'g', order: 'none', window: 16, concurrency: { process: 8, group } }) as const
const options = limited(3)

/** Handlers that take 50 ms, and how many run at once in all processes. */
function handlers(takes: (ms: number) => Promise<void>) {
  const seen = { inside: 0, most: 0, by: new Map<Broker, number>() }
  const of = (broker: Broker) => async (): Promise<void> => {
    seen.most = Math.max(seen.most, ++seen.inside)
    seen.by.set(broker, (seen.by.get(broker) ?? 0) + 1)
    await takes(50)
    seen.inside--
  }
  return { seen, of }
}

describe('concurrency: { group }', () => {
  it.each([3, 1])(
    'lets so many handlers of a group run at once in all processes together, and each process has its turn: %i',
    async (group) => {
      const { broker, clock, takes, another } = await rig()
      const second = await another()
      const { seen, of } = handlers(takes)
      for (const each of [broker, second]) await each.consume(work, limited(group), of(each))
      for (let n = 0; n < 300 * group; n++) await broker.producer().send(work, n)
      // 300 of 50 ms on each slot take 15 s; a twentieth more goes where a slot changes hands.
      await clock.advance(15_750)
      expect((await broker.lag(work, { group: 'g' })).backlog).toBe(0)
      expect(seen.most).toBe(group)
      for (const each of [broker, second]) expect(seen.by.get(each)).toBeGreaterThan(60)
      await Promise.all([second.close(), broker.close(), clock.advance(1_000)])
    },
  )

  it('gives its slots back when it stops, and those of a process that died run out', async () => {
    const { broker, clock, takes, another } = await rig()
    const second = await another()
    const { seen, of } = handlers(takes)
    const stops = await second.consume(work, options, of(second))
    for (let n = 0; n < 3; n++) await broker.producer().send(work, n)
    await clock.advance(10)
    await Promise.all([stops.stop(), clock.advance(60)])
    await broker.consume(work, options, of(broker))
    for (let n = 0; n < 3; n++) await broker.producer().send(work, n)
    await clock.advance(200)
    expect(seen.by).toEqual(
      new Map([
        [second, 3],
        [broker, 3],
      ]),
    )
    // Held by one that says nothing any more.
    const claims = partsOf(broker.store).claims as Claims
    for (const name of ['0', '1', '2']) await claims.acquire('slots:1:g:work', name, 'dead', 30_000)
    for (let n = 0; n < 3; n++) await broker.producer().send(work, n)
    await clock.advance(29_000)
    expect(seen.by.get(broker)).toBe(3)
    await clock.advance(2_000)
    expect(seen.by.get(broker)).toBe(6)
    await Promise.all([second.close(), broker.close(), clock.advance(1_000)])
  })

  it('asks the store when work begins and ends, and seldom between', async () => {
    const { broker: own, clock, takes } = await rig()
    const parts = partsOf(own.store)
    let asked = 0
    const counted = new Proxy(parts.claims as Claims, {
      get(claims, name: keyof Claims) {
        return (...args: never[]) => {
          asked++
          return (claims[name] as (...given: never[]) => unknown)(...args)
        }
      },
    })
    const broker = await connectAdapter(
      memory({ log: 'slots-counting', clock: 'manual' }),
      { log: false, store: defineStore({ ...parts, claims: counted }), singleHost: true },
      { slots },
    )
    const other = broker.driver.client as typeof clock
    const { seen, of } = handlers(takes)
    await broker.consume(work, options, of(broker))
    for (let n = 0; n < 60; n++) await broker.producer().send(work, n)
    for (let n = 0; n < 120; n++) {
      await clock.advance(10)
      await other.advance(10)
    }
    expect(seen.by.get(broker)).toBe(60)
    expect(asked).toBeLessThanOrEqual(20)
    await broker.close()
    await own.close()
  })

  it('is refused without a store, without the patterns, and of a batch; explain says what it costs', async () => {
    const { broker } = await rig()
    const batch = { ...options, batch: { size: 10, waitMs: 10 } }
    await expect(broker.consume(work, batch, async () => {})).rejects.toThrow(
      /batch handler.*concurrency: \{ process \}/,
    )
    expect(String(await broker.explain(work, options))).toMatch(/group concurrency +store +at most 3 handlers/)
    await broker.close()
    const bare = await connectAdapter(memory(), { log: false })
    await expect(bare.consume(work, options, async () => {})).rejects.toThrow(/@posthorn\/reliability/)
    await bare.close()
  })
})
