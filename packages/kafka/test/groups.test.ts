// Hand-overs between members of a group, and what the clients do wrong when the broker takes something away.
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { protocolName } from '../src/assignment.ts'
import {
  address,
  bodies,
  clients,
  connect,
  eat,
  message,
  name,
  open,
  proxied,
  receive,
  topicOf,
  until,
} from './stand.ts'

const topic = topicOf()
const signal = (): AbortSignal => AbortSignal.timeout(20_000)
const many = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => message(from + n, { key: `k${n % 16}` }))

async function committed(group: string, topicName: string): Promise<number> {
  const admin = new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topicName] })
    return offsets?.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0) ?? 0
  } finally {
    await admin.disconnect()
  }
}

describe.each(clients)('%s', (client) => {
  test('a second member gets its share, nothing is delivered twice, and what the first holds stays its own', {
    timeout: 60_000,
  }, async () => {
    const driver = await connect(name(), { client, drainMs: 20_000 })
    // So many that some are given up while the group is already assigned anew for others.
    const topic = topicOf({ partitions: 16 })
    await driver.declare(topic, signal())
    let count = 0
    const send = async (more: number): Promise<void> => {
      await driver.send(many(more, count), { signal: signal() })
      count += more
    }
    await send(40)
    const one = await open(driver, topic)
    const held = await receive(one, 40)
    const two = await open(driver, topic)
    // The partitions that the first one gives up are drained first: it settles, and nothing comes again.
    expect(await one.settle(held.map(({ token }) => ({ token, verdict: 'ack' })))).not.toContain('stale')
    const taken = bodies(held)
    await until('both have their share', async () => {
      await send(16)
      const took = await Promise.all([eat(one, 16, 300), eat(two, 16, 300)])
      taken.push(...bodies(took.flat()))
      return took.every(({ length }) => length > 0)
    })
    await two.close()
    await send(16)
    taken.push(...bodies(await eat(one, count - taken.length)))
    expect(taken.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n))
  })

  test('what is not settled within drainMs is lost to its holder and comes to the next owner', {
    timeout: 60_000,
  }, async () => {
    const driver = await connect(name(), { client, drainMs: 500 })
    await driver.declare(topic, signal())
    await driver.send(many(32), { signal: signal() })
    const one = await open(driver, topic)
    const held = await receive(one, 32)
    const two = await open(driver, topic)
    const moved = await eat(two, 1)
    const lost = held.filter(({ lost: loss }) => loss?.reason !== undefined)
    moved.push(...(await eat(two, lost.length - moved.length)))
    expect(lost.length).toBeLessThan(held.length)
    expect(bodies(moved).sort()).toEqual(bodies(lost).sort())
    const answers = await one.settle(held.map(({ token }) => ({ token, verdict: 'ack' })))
    expect(answers.map((answer, at) => [bodies(held.slice(at, at + 1))[0], answer])).toEqual(
      held.map((each) => [bodies([each])[0], lost.includes(each) ? 'stale' : 'ok']),
    )
    expect(await eat(two, 1, 500)).toEqual([])
  })

  test('what has no key and is sent at once is spread over the partitions', async () => {
    const driver = await connect(name(), { client })
    await driver.declare(topic, signal())
    const results = await driver.send(
      Array.from({ length: 16 * topic.partitions }, (_, n) => message(n, { key: undefined })),
      { signal: signal() },
    )
    const partitions = results.map((result) => (result.ok ? result.position?.split(':')[0] : 'none'))
    expect([...new Set(partitions)].sort()).toEqual(Array.from({ length: topic.partitions }, (_, n) => String(n)))
  })

  test('membership changes every second: nothing is lost, nothing doubled, order by key holds', {
    timeout: 90_000,
  }, async () => {
    const driver = await connect(name(), { client })
    await driver.declare(topic, signal())
    const steady = await open(driver, topic)
    const seen: { key: string; n: number }[] = []
    const stop = new AbortController()
    const serve = async (source: typeof steady, over: AbortSignal): Promise<void> => {
      while (!over.aborted) {
        const got = await source.receive(50, over)
        for (const each of got) seen.push({ key: each.key ?? '', n: Number(bodies([each])[0]) })
        await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
      }
    }
    const serving = serve(steady, stop.signal)
    const total = 2_000
    const sending = (async () => {
      for (let n = 0; n < total; n += 20) {
        const results = await driver.send(
          many(20, n).map((each, i) => ({ ...each, key: `k${i}` })),
          { signal: signal() },
        )
        expect(results.every(({ ok }) => ok)).toBe(true)
        await new Promise((resolve) => setTimeout(resolve, 60))
      }
    })()
    for (let round = 0; round < 4; round++) {
      const guest = await open(driver, topic)
      const leave = AbortSignal.timeout(1_000)
      await serve(guest, leave)
      await guest.close()
    }
    await sending
    await until('all came', () => seen.length >= total)
    stop.abort()
    await serving
    expect(seen.length).toBe(total)
    const last = new Map<string, number>()
    for (const { key, n } of seen) {
      expect(n).toBeGreaterThan(last.get(key) ?? -1)
      last.set(key, n)
    }
  })

  test('who was cut off and thrown out settles nothing and rewinds nothing', { timeout: 90_000 }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    await direct.declare(topic, signal())
    const proxy = await proxied()
    const behind = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 3_000 })
    await direct.send(many(32), { signal: signal() })
    const zombie = await open(behind, topic)
    const held = await receive(zombie, 32)
    proxy.freeze()
    const heir = await open(direct, topic)
    const again = await eat(heir, 32, 30_000)
    expect(again.length).toBe(32)
    // It begins where another one began and did not end cleanly.
    expect(again.every(({ deliveryCount }) => deliveryCount === 2)).toBe(true)
    await until('the heir has committed', async () => (await committed(`${namespace}.g`, `${namespace}.orders`)) === 32)
    await proxy.restore()
    await until('the zombie knows', () => held.every(({ lost }) => lost?.reason !== undefined), 30_000)
    expect(new Set(await zombie.settle(held.map(({ token }) => ({ token, verdict: 'ack' }))))).toEqual(
      new Set(['stale']),
    )
    // What it would still commit, it commits before it has closed.
    await zombie.close()
    expect(await committed(`${namespace}.g`, `${namespace}.orders`)).toBe(32)
  })

  test('who could not take leave of its group is back at once, as the member that it was', {
    timeout: 60_000,
  }, async () => {
    const proxy = await proxied()
    const driver = await connect(name(), { client, brokers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 30_000 })
    await driver.declare(topic, signal())
    const source = await open(driver, topic, { member: 'one' })
    proxy.refuse()
    proxy.cut()
    await expect(source.receive(1, AbortSignal.timeout(20_000))).rejects.toMatchObject({ code: 'unavailable' })
    await source.close()
    await proxy.restore()
    await driver.send(many(16), { signal: signal() })
    // As another member it would wait for the end of its own session, longer than an opening may take here.
    const again = await open(driver, topic, { member: 'one' })
    expect((await eat(again, 16)).length).toBe(16)
  })

  test('whose joining got no answer is the same member when it joins again', { timeout: 60_000 }, async () => {
    const proxy = await proxied()
    const driver = await connect(name(), { client, brokers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 30_000 })
    await driver.declare(topic, signal())
    await driver.send(many(16), { signal: signal() })
    const cut = proxy.cutBeforeAnswer({ when: (chunk) => chunk.includes(protocolName) })
    // As another member it would wait for the first one until that one's time is over, longer than an opening may take here.
    const source = await open(driver, topic)
    expect(await cut).toBe(true)
    expect((await eat(source, 16)).length).toBe(16)
  })

  test('who opens while connections break is not turned away', { timeout: 60_000 }, async () => {
    const proxy = await proxied()
    const driver = await connect(name(), { client, brokers: `127.0.0.1:${proxy.port}` })
    await driver.declare(topic, signal())
    await driver.send(many(16), { signal: signal() })
    proxy.cut()
    const first = proxy.cutAfter('up', 1)
    const opening = open(driver, topic)
    expect(await first).toBe(true)
    // Unless it has given up by then.
    expect(await Promise.race([proxy.cutAfter('up', 1), opening.then(() => false)])).toBe(true)
    expect((await eat(await opening, 16)).length).toBe(16)
  })

  test('what retention took is told, and reading goes on at what is left', { timeout: 60_000 }, async () => {
    const namespace = name()
    const driver = await connect(namespace, { client })
    const single = topicOf({ partitions: 1 })
    await driver.declare(single, signal())
    await driver.send(many(10), { signal: signal() })
    const first = await open(driver, single)
    await eat(first, 2)
    await first.close()
    const admin = new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    // Without it kafkajs' admin knows no leaders.
    await admin.fetchTopicMetadata({ topics: [`${namespace}.orders`] })
    await admin.fetchTopicOffsets(`${namespace}.orders`)
    await admin.deleteTopicRecords({ topic: `${namespace}.orders`, partitions: [{ partition: 0, offset: '6' }] })
    await admin.disconnect()
    const second = await open(driver, single)
    expect(bodies(await eat(second, 4))).toEqual(['6', '7', '8', '9'])
    expect(second.events).toEqual([{ event: 'position-lost', topic: 'orders', position: '0:2' }])
  })

  test('a topic that is removed under its reader is an error, and no storm', { timeout: 60_000 }, async () => {
    const namespace = name()
    const driver = await connect(namespace, { client })
    await driver.declare(topic, signal())
    const source = await open(driver, topic)
    const admin = new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [`${namespace}.orders`] })
    await admin.disconnect()
    await expect(source.receive(1, AbortSignal.timeout(20_000))).rejects.toMatchObject({ code: 'not-found' })
    await source.close()
    await expect(open(driver, topic)).rejects.toMatchObject({ code: 'not-found' })
  })

  test('a seek moves the whole group, not the member alone that asked', { timeout: 60_000 }, async () => {
    const driver = await connect(name(), { client })
    await driver.declare(topic, signal())
    await driver.send(many(64), { signal: signal() })
    const [one, two] = [await open(driver, topic), await open(driver, topic)]
    let seen = 0
    const pull = async (): Promise<void> => {
      for (const got of await Promise.all([eat(one, 64, 200), eat(two, 64, 200)])) seen += got.length
    }
    await until('all came', async () => {
      await pull()
      return seen >= 64
    })
    seen = 0
    await two.seek?.('earliest')
    await until('all came again', async () => {
      await pull()
      return seen >= 64
    })
    await pull()
    expect(seen).toBe(64)
  })

  test('an idle consumer costs next to nothing', { timeout: 60_000 }, async () => {
    const driver = await connect(name(), { client })
    await driver.declare(topic, signal())
    await open(driver, topic)
    // kafkajs alone arms some 880 timers a second while it has nothing to do; the count is the same on a busy machine.
    const arm = globalThis.setTimeout
    let armed = 0
    globalThis.setTimeout = Object.assign((...args: Parameters<typeof arm>) => {
      armed++
      return arm(...args)
    }, arm)
    try {
      await new Promise((resolve) => arm(resolve, 2_000))
    } finally {
      globalThis.setTimeout = arm
    }
    expect(armed).toBeLessThan(200)
  })
})
