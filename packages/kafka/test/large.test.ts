// A broker takes no batch above its topic's max.message.bytes, however small each message of it is.
import { describe, expect, test } from 'vitest'
import { clients, connect, log, message, name, topicOf, until } from './stand.ts'
import { alter } from './topics.ts'

const topic = topicOf({ partitions: 1 })
const signal = (): AbortSignal => AbortSignal.timeout(20_000)
/** Together half as much again as a batch may have. */
const bodies = Array.from({ length: 1_000 }, (_, n) => `${n} `.padEnd(1_500, 'x'))
const many = () => bodies.map((body, n) => message(n, { key: 'k', body: Buffer.from(body) }))
const places = bodies.map((_, n) => `0:${n}`)

describe.each(clients)('%s', (client) => {
  test('messages that are larger together than a batch may be all go out, in order', async () => {
    const driver = await connect(name(), { client })
    await driver.declare(topic, signal())
    const results = await driver.send(many(), { signal: signal() })
    expect(results.map((result) => (result.ok ? result.position : result.error.message))).toEqual(places)
    expect(await log(driver, topic)).toEqual(bodies)
  })

  test('the same in a transaction', async () => {
    const driver = await connect(name(), { client })
    await driver.declare(topic, signal())
    const results = await driver.send(many(), { signal: signal(), atomic: true })
    expect(results.map((result) => (result.ok ? result.position : result.error.message))).toEqual(places)
    // It counts when the commit is decided, and is read when its partitions have been told.
    await expect.poll(() => log(driver, topic), { timeout: 10_000 }).toEqual(bodies)
  })

  test('where a topic takes less than we thought, what is too large by itself is refused, and nothing beside it', async () => {
    const namespace = name()
    const driver = await connect(namespace, { client })
    await driver.declare(topic, signal())
    await alter(`${namespace}.orders`, 'max.message.bytes', '20000')
    // What the broker tells of a setting it does a moment later.
    const probe = await connect(namespace, { client })
    await until('the broker takes less', async () => {
      const [result] = await probe.send([message(0, { body: Buffer.from('probe'.padEnd(30_000, 'x')) })], {
        signal: signal(),
      })
      return result?.ok === false
    })
    const sizes = Array.from({ length: 300 }, (_, n) => (n === 100 ? 30_000 : 500))
    const batch = sizes.map((size, n) => message(n, { key: 'k', body: Buffer.from(`${n} `.padEnd(size, 'x')) }))
    for (const atomic of [false, true]) {
      const results = await driver.send(batch, { signal: signal(), atomic })
      const codes = results.map((result) => (result.ok ? 'ok' : result.error.code))
      expect(codes).toEqual(sizes.map((size) => (atomic || size > 20_000 ? 'too-large' : 'ok')))
    }
    const taken = (await log(driver, topic)).filter((body) => !body.startsWith('probe'))
    expect(taken.map((body) => Number(body.split(' ')[0]))).toEqual(
      sizes.flatMap((size, n) => (size > 20_000 ? [] : [n])),
    )
  })
})
