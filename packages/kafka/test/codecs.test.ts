// Every codec, written by each client and read by both.
import { describe, expect, test } from 'vitest'
import { clients, connect, log, message, name, topicOf } from './stand.ts'

const topic = topicOf({ partitions: 1 })
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const bodies = Array.from({ length: 50 }, (_, n) => `${n} ${'x'.repeat(200)}`)

describe.each(clients)('%s', (client) => {
  test.each(codecs)('%s is read by both clients', { timeout: 60_000 }, async (compression) => {
    const namespace = name()
    const driver = await connect(namespace, { client, compression })
    await driver.declare(topic, AbortSignal.timeout(10_000))
    const messages = bodies.map((text, n) => message(n, { body: Buffer.from(text), headers: { n: `${n}` } }))
    const results = await driver.send(messages, { signal: AbortSignal.timeout(10_000) })
    expect(results.every(({ ok }) => ok)).toBe(true)
    expect(await log(driver, topic)).toEqual(bodies)
    for (const other of clients) expect(await log(await connect(namespace, { client: other }), topic)).toEqual(bodies)
  })
})
