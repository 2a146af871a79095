// Every codec that a client has by itself, written by it and read by both.
import { describe, expect, test } from 'vitest'
import { clients, connect, log, message, name, topicOf } from './stand.ts'

const topic = topicOf({ partitions: 1 })
const built = { kafkajs: ['none', 'gzip', 'zstd'], platformatic: ['none', 'gzip', 'snappy', 'lz4', 'zstd'] } as const
const bodies = Array.from({ length: 50 }, (_, n) => `${n} ${'x'.repeat(200)}`)

describe.each(clients)('%s', (client) => {
  test.each(built[client])('%s is read by both clients', { timeout: 60_000 }, async (compression) => {
    const namespace = name()
    const driver = await connect(namespace, { client, compression })
    await driver.declare(topic, AbortSignal.timeout(10_000))
    const messages = bodies.map((text, n) => message(n, { body: Buffer.from(text), headers: { n: `${n}` } }))
    const results = await driver.send(messages, { signal: AbortSignal.timeout(10_000) })
    expect(results.every(({ ok }) => ok)).toBe(true)
    expect(await log(driver, topic)).toEqual(bodies)
    // kafkajs reads these two with packages that are not installed here.
    if (compression !== 'snappy' && compression !== 'lz4')
      for (const other of clients) expect(await log(await connect(namespace, { client: other }), topic)).toEqual(bodies)
  })
})

test('a codec that kafkajs lacks is told by the package that brings it', { timeout: 60_000 }, async () => {
  const namespace = name()
  const writer = await connect(namespace, { client: 'platformatic', compression: 'snappy' })
  await writer.declare(topic, AbortSignal.timeout(10_000))
  await writer.send([message(1)], { signal: AbortSignal.timeout(10_000) })
  const reader = await connect(namespace, { client: 'kafkajs' })
  await expect(log(reader, topic)).rejects.toThrow(/snappy.*pnpm add kafkajs-snappy/)
})
