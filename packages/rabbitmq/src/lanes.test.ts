// Order by key across processes: lanes are spread, change hands without a gap, and lose nothing on the way.
import { ensure } from '@posthorn/brokers'
import type { Arrival, Source } from '@posthorn/core/driver'
import { faultProxy } from '@posthorn/testkit'
import { expect, it } from 'vitest'
import { fixtureOn } from './testing/fixture.ts'

// Another version by its name, as in the conformance suite.
const testedOn = process.env['POSTHORN_RABBITMQ'] ?? 'rabbitmq'
const url = await ensure(testedOn)
const fixture = fixtureOn(testedOn, url)
const forever = new AbortController().signal
const keyed = { partitions: 8, keyed: true, groups: [{ name: 'g', order: 'key' as const, filter: undefined }] }

/** A member that acknowledges what it gets, and remembers who had it. */
function member(source: Source, name: string, seen: { by: string; key: string; n: number }[]): () => Promise<void> {
  const over = new AbortController()
  const loop = async (): Promise<void> => {
    while (!over.signal.aborted) {
      // Of one whose connection is lost.
      const got = await source.receive(20, over.signal).catch(() => over.abort())
      if (got === undefined) return
      for (const { key = '', body } of got) seen.push({ by: name, key, n: Number(Buffer.from(body).toString()) })
      await source.settle(got.map(({ token }: Arrival) => ({ token, verdict: 'ack' as const })))
    }
  }
  const running = loop()
  return async () => {
    over.abort()
    await running
    await source.close()
  }
}

it('spreads lanes evenly, moves them as members come and go, and keeps every key in order', async () => {
  const topic = fixture.topic(keyed)
  const sender = await fixture.connect()
  await sender.declare(topic, forever)
  const seen: { by: string; key: string; n: number }[] = []
  const leave: (() => Promise<void>)[] = []
  let n = 0
  const send = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++, n++)
      await sender.send(
        Array.from({ length: 32 }, (_, k) => fixture.message(topic, { key: `k${k}`, body: Buffer.from(`${n}`) })),
        { signal: forever },
      )
  }
  /** Keys by who had them last, once all that was sent was seen. */
  const holders = async (): Promise<Map<string, Set<string>>> => {
    const from = seen.length
    await send(3)
    const end = performance.now() + 20_000
    while (seen.length < n * 32 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20))
    const by = new Map<string, Set<string>>()
    for (const each of seen.slice(from)) by.set(each.by, (by.get(each.by) ?? new Set()).add(each.key))
    return by
  }
  for (const name of ['a', 'b', 'c']) {
    const driver = await fixture.connect()
    leave.push(member(await fixture.open(driver, topic), name, seen))
    await holders()
  }
  const who = async (): Promise<string[]> => [...(await holders()).keys()].sort()
  await expect.poll(who).toEqual(['a', 'b', 'c'])
  await leave.shift()?.()
  await expect.poll(who).toEqual(['b', 'c'])
  await Promise.all(leave.map((each) => each()))
  // Nothing twice, nothing out of order: nobody was killed.
  expect(seen.length).toBe(n * 32)
  const last = new Map<string, number>()
  for (const { key, n: number } of seen) {
    expect(number).toBe((last.get(key) ?? -1) + 1)
    last.set(key, number)
  }
})

it.each([['key' as const], ['none' as const]])(
  'keeps acknowledgements that were on the way when a member of order %s leaves',
  async (order) => {
    const topic = fixture.topic({ partitions: 2, groups: [{ name: 'g', order, filter: undefined }] })
    const driver = await fixture.connect()
    await driver.declare(topic, forever)
    await driver.send(
      Array.from({ length: 300 }, () => fixture.message(topic)),
      { signal: forever },
    )
    const source = await fixture.open(driver, topic, { window: 400 })
    const all = await fixture.receive(source, 300, false)
    // One by one and out of order: the costliest way for the broker.
    for (let i = 0; i < 300; i++) await source.settle([{ token: all[(i * 7_919) % 300]?.token, verdict: 'ack' }])
    await source.close()
    const next = await fixture.open(driver, topic, { window: 400 })
    expect((await next.receive(400, AbortSignal.timeout(500))).length).toBe(0)
  },
)

it('refuses a member that disagrees about order or partitions, with both values', async () => {
  const topic = fixture.topic(keyed)
  const driver = await fixture.connect()
  await driver.declare(topic, forever)
  await expect(fixture.open(driver, topic, { order: 'none' })).rejects.toThrow(/order=none.*order=key/)
  await expect((await fixture.connect()).declare({ ...topic, partitions: 4 }, forever)).rejects.toThrow(
    /partitions=4.*partitions=8/,
  )
})

it('knows of a start alone that never ended, in its place in its key, whoever goes on', async () => {
  const topic = fixture.topic({ ...keyed, partitions: 1 })
  const sender = await fixture.connect()
  await sender.declare(topic, forever)
  const { hostname, port, username, password } = new URL(url)
  const proxy = await faultProxy({ to: { host: hostname, port: Number(port) } })
  fixture.after(() => proxy.close())
  const at = `amqp://${username}:${password}@${proxy.host}:${proxy.port}`
  const bodies = ['1', '2', '3']
  await sender.send(
    bodies.map((body) => fixture.message(topic, { key: 'k', body: Buffer.from(body) })),
    { signal: forever },
  )
  /** Receives all, does something with the first, and dies without a word. */
  const life = async (act: (source: Source, token: unknown) => Promise<unknown>): Promise<readonly Arrival[]> => {
    const source = await fixture.open(await fixture.connect({ url: at }), topic)
    const all = await fixture.receive(source, 3, false)
    await act(source, all[0]?.token)
    proxy.cut()
    await expect(source.receive(1, AbortSignal.timeout(5_000))).rejects.toMatchObject({ code: 'unavailable' })
    return all
  }
  const marked = async (source: Source, token: unknown): Promise<void> => {
    expect(await source.mark?.(token)).toBe('ok')
  }
  const ended = async (source: Source, token: unknown): Promise<void> => {
    await marked(source, token)
    expect(await source.unmark?.(token)).toBe('ok')
  }
  const lives = [await life(marked), await life(marked), await life(ended), await life(async () => {})]
  expect(lives.map((all) => all.map(({ lone }) => lone))).toEqual([
    [0, 0, 0],
    [1, 0, 0],
    [2, 0, 0],
    [2, 0, 0],
  ])
  for (const all of lives) expect(all.map(({ body }) => Buffer.from(body).toString())).toEqual(bodies)
})

it('gives no member more than its share within 30 s of a change, and what a silent one held to others within 15 s', async () => {
  const topic = fixture.topic(keyed)
  const sender = await fixture.connect()
  await sender.declare(topic, forever)
  const { hostname, port, username, password } = new URL(url)
  const proxy = await faultProxy({ to: { host: hostname, port: Number(port) } })
  fixture.after(() => proxy.close())
  const seen: { by: string; key: string; n: number }[] = []
  const join = async (by: string, at = url): Promise<() => Promise<void>> =>
    member(await fixture.open(await fixture.connect({ url: at }), topic), by, seen)
  let n = 0
  /** How many lanes each member holds: one message for each, and who got it. */
  const shares = async (): Promise<readonly number[]> => {
    const round = ++n
    const lanes = Array.from({ length: keyed.partitions }, (_, partition) =>
      fixture.message(topic, { partition, key: `${partition}`, body: Buffer.from(`${round}`) }),
    )
    await sender.send(lanes, { signal: forever })
    const got = () => seen.filter((each) => each.n === round)
    await expect.poll(() => new Set(got().map(({ key }) => key)).size, { timeout: 30_000 }).toBe(lanes.length)
    const held = new Map<string, number>()
    for (const { by } of got()) held.set(by, (held.get(by) ?? 0) + 1)
    return [...held.values()].sort()
  }
  const even = (...counts: readonly number[]): Promise<void> =>
    expect.poll(shares, { timeout: 30_000, interval: 300 }).toEqual(counts)
  const first = await join('a')
  await even(8)
  await join('b', `amqp://${username}:${password}@${proxy.host}:${proxy.port}`)
  await even(4, 4)
  const third = await join('c')
  await even(2, 3, 3)
  // No end of a connection tells the broker: only its silence does.
  proxy.blackHole()
  const from = performance.now()
  await shares()
  expect(performance.now() - from).toBeLessThan(15_000)
  await even(4, 4)
  await first()
  await even(8)
  await third()
}, 120_000)
