import type { Dispatch, Driver, Source, Subscription, TopicSpec } from '@posthorn/core/driver'
import { planOf } from '@posthorn/core/driver'
import { plainMessage as message } from '@posthorn/testkit'
import { describe, expect, test } from 'vitest'
import { fromUrl, type MemoryOptions, memory } from './index.ts'

const { signal } = new AbortController()
const spec = (over: Partial<TopicSpec> = {}): TopicSpec => ({
  name: 't',
  partitions: 8,
  groups: [],
  retentionMs: undefined,
  keyed: true,
  priority: undefined,
  on: undefined,
  ...over,
})

async function connected(options: MemoryOptions = { clock: 'manual' }) {
  const plan = planOf(memory(options))
  const driver = await plan.connect({
    namespace: '',
    topology: 'declare',
    connectTimeoutMs: 1_000,
    clock: plan.clock ?? expect.fail('memory brings its clock'),
    clientId: 'test',
    report: () => {},
    signal,
  })
  return { driver, client: driver.client }
}

const open = (driver: Driver, over: Partial<Subscription> = {}): Promise<Source> =>
  driver.open(
    {
      source: spec(),
      mode: 'shared',
      group: 'g',
      member: 'm',
      order: 'none',
      window: 10_000,
      from: 'earliest',
      filter: undefined,
      report: () => {},
      ...over,
    },
    signal,
  )
const sendMany = async (driver: Driver, count: number, over: (n: number) => Partial<Dispatch> = () => ({})) => {
  for (let n = 0; n < count; n += 1_000)
    await driver.send(
      Array.from({ length: Math.min(1_000, count - n) }, (_, i) => message({ id: `${n + i}`, ...over(n + i) })),
      { signal },
    )
}
const eat = async (source: Source, count: number): Promise<string[]> => {
  const ids: string[] = []
  while (ids.length < count) {
    const got = await source.receive(1_000, signal)
    ids.push(...got.map(({ id }) => id))
    await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
  }
  return ids
}
const stored = async (driver: Driver): Promise<number> => {
  let count = 0
  const all = { id: undefined, key: undefined, from: undefined, to: undefined }
  for await (const _ of driver.query?.(spec(), all, signal) ?? []) count++
  return count
}

describe('what is kept', () => {
  test('without groups everything stays for the first, however much it is', async () => {
    const { driver } = await connected()
    await driver.declare(spec(), signal)
    await sendMany(driver, 25_000)
    expect(await eat(await open(driver), 25_000)).toHaveLength(25_000)
  })

  test('what every group has settled is freed beyond the last 10,000', async () => {
    const { driver } = await connected()
    await driver.declare(spec(), signal)
    const source = await open(driver)
    for (let n = 0; n < 5; n++) {
      await sendMany(driver, 10_000)
      await eat(source, 10_000)
    }
    expect(await stored(driver)).toBeLessThanOrEqual(10_001)
  })

  test('rule 16: what a known group has not settled is never freed; what lies behind it is, all the same', async () => {
    const { driver } = await connected()
    await driver.declare(spec(), signal)
    const source = await open(driver)
    await sendMany(driver, 1)
    const [stuck] = await source.receive(1, signal)
    for (let n = 0; n < 6; n++) {
      await sendMany(driver, 10_000)
      await eat(source, 10_000)
    }
    expect(await stored(driver)).toBeLessThanOrEqual(20_001)
    await source.close()
    const [again] = await (await open(driver)).receive(10, signal)
    expect(again?.position).toBe(stuck?.position)
  })

  test('retention by time: settled messages go when it is over, and a position that went is stale and said', async () => {
    const { driver, client } = await connected()
    const topic = spec({ retentionMs: 60_000 })
    await driver.declare(topic, signal)
    const source = await open(driver)
    await sendMany(driver, 10)
    await eat(source, 10)
    await client.advance(61_000)
    await sendMany(driver, 1)
    await eat(source, 1)
    expect(await stored(driver)).toBe(1)
    const events: unknown[] = []
    await expect(
      open(driver, { mode: 'replay', from: { position: '3' }, report: (event) => events.push(event) }),
    ).rejects.toMatchObject({ code: 'stale' })
    expect(events).toEqual([{ event: 'position-lost', topic: 't', position: '3' }])
  })
})

describe('who gets what', () => {
  test('members that wait share a batch', async () => {
    const { driver } = await connected()
    await driver.declare(spec(), signal)
    const sources = await Promise.all([0, 1, 2, 3].map(() => open(driver)))
    const waiting = sources.map((source) => source.receive(1_000, signal))
    await sendMany(driver, 40)
    expect((await Promise.all(waiting)).map(({ length }) => length)).toEqual([10, 10, 10, 10])
  })

  test('one hot key fills half a window at most', async () => {
    const { driver } = await connected()
    await driver.declare(spec(), signal)
    const source = await open(driver, { order: 'key', window: 10 })
    await sendMany(driver, 20, (n) => ({ key: n < 18 ? 'hot' : `cold${n}` }))
    const got = await source.receive(100, signal)
    expect(got.map(({ key }) => key)).toEqual(['hot', 'hot', 'hot', 'hot', 'hot', 'cold18', 'cold19'])
  })

  test('one hot key that filled its half comes again in batches, when most of it is settled', async () => {
    const { driver } = await connected()
    await driver.declare(spec(), signal)
    const source = await open(driver, { order: 'key', window: 100 })
    await sendMany(driver, 200, () => ({ key: 'hot' }))
    const got = await source.receive(100, signal)
    expect(got).toHaveLength(50)
    const next = source.receive(100, signal)
    for (const { token } of got.slice(0, 26)) await source.settle([{ token, verdict: 'ack' }])
    expect(await next).toHaveLength(26)
  })

  test('brokers that name a log share it; others do not', async () => {
    const [a, b, c] = [
      await connected({ log: 'shared' }),
      await connected({ log: 'shared' }),
      await connected({ log: 'other' }),
    ]
    for (const { driver } of [a, b, c]) await driver.declare(spec(), signal)
    const there = await open(b.driver)
    await sendMany(a.driver, 3)
    expect(await eat(there, 3)).toHaveLength(3)
    expect(await stored(c.driver)).toBe(0)
  })

  test('rule 20: a group that is opened otherwise than it is recorded is refused with both values', async () => {
    const { driver } = await connected()
    await driver.declare(spec(), signal)
    await open(driver, { order: 'key' })
    await expect(open(driver, { order: 'none' })).rejects.toThrow(/order key, and none was asked for/)
    await expect(driver.declare(spec({ partitions: 3 }), signal)).rejects.toThrow(/partitions 8, and 3 was asked for/)
  })
})

describe('time in hand', () => {
  test('a delay of 15 minutes takes no time', async () => {
    const { driver, client } = await connected()
    await driver.declare(spec(), signal)
    const source = await open(driver)
    await driver.send([message({ notBefore: client.now() + 900_000 })], { signal })
    const waiting = source.receive(1, signal)
    await client.advance(899_999)
    expect(await Promise.race([waiting, client.idle()])).toBeUndefined()
    await client.advance(1)
    expect(await waiting).toHaveLength(1)
  })

  test('idle waits for what is in hand, and not for time', async () => {
    const { driver, client } = await connected()
    await driver.declare(spec(), signal)
    const source = await open(driver)
    await driver.send([message(), message({ id: 'later', notBefore: client.now() + 1_000 })], { signal })
    let done = false
    const handling = (async () => {
      const [got] = await source.receive(1, signal)
      await new Promise((resolve) => setTimeout(resolve, 30))
      done = true
      await source.settle([{ token: got?.token, verdict: 'ack' }])
    })()
    await client.idle()
    expect(done).toBe(true)
    await handling
  })
})

describe('options and URLs', () => {
  test.each([
    [{ leaseMs: 0 }, 'leaseMs'],
    [{ leaseMs: Number.NaN }, 'leaseMs'],
    [{ clock: 'slow' }, 'clock'],
    [{ log: '' }, 'log'],
    [{ lease: 1 }, 'lease'],
  ])('%o is refused by name', (options, name) => {
    expect(() => memory(options as MemoryOptions)).toThrow(new RegExp(`memory\\(\\{ ${name}`))
  })

  test('memory:, memory:name and memory://name?leaseMs=50 are URLs; others are refused', () => {
    expect(planOf(fromUrl('memory:')).address).toBe('memory:')
    expect(planOf(fromUrl('memory:url-a')).address).toBe('memory:url-a')
    expect(planOf(fromUrl('memory://url-b?leaseMs=50')).traits.leaseMs).toBe(50)
    expect(planOf(fromUrl('memory:url-c?clock=manual')).clock).toBeDefined()
    expect(() => fromUrl('memory:x?lease=1')).toThrow(/no parameter "lease"/)
    expect(() => fromUrl('memory://user@x')).toThrow(/memory URL/)
    expect(() => fromUrl('memory://x:1')).toThrow(/memory URL/)
    expect(() => fromUrl('memory:x?leaseMs=soon')).toThrow(/leaseMs/)
  })
})
