// An acknowledgement that is lost after the broker has stored the batch: kafkajs' own idempotent producer then loses another message that it
// calls sent. First the naive use, which shows it; then ours, which does not.
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { clients, connect, log, message, name, proxied, topicOf, until } from './stand.ts'

const topic = topicOf({ partitions: 1 })
/** The request that produces is the only one under way; its answer names the topic. */
const answers = (text: string) => (chunk: Buffer) => chunk.includes(text)

test('kafkajs alone, sending concurrently, loses a message that it acknowledged', { timeout: 60_000 }, async () => {
  const namespace = name()
  const driver = await connect(namespace, { client: 'kafkajs' })
  await driver.declare(topic, AbortSignal.timeout(10_000))
  const proxy = await proxied()
  const naive = new Kafka({
    brokers: [`127.0.0.1:${proxy.port}`],
    logLevel: logLevel.NOTHING,
    retry: { retries: 5, initialRetryTime: 100 },
  }).producer({ idempotent: true, maxInFlightRequests: 1, retry: { retries: 5, initialRetryTime: 100 } })
  await naive.connect()
  const send = async (value: string): Promise<string | undefined> =>
    naive.send({ topic: `${namespace}.orders`, acks: -1, messages: [{ value }] }).then(
      () => value,
      () => undefined,
    )
  for (let n = 0; n < 3; n++) await send(`warm-up ${n}`)
  const cut = proxy.cutBeforeAnswer({ when: answers(`${namespace}.orders`) })
  const acknowledged = await Promise.all(Array.from({ length: 10 }, (_, n) => send(`m${n}`)))
  expect(await cut).toBe(true)
  const stored = new Set(await log(driver, topic))
  await naive.disconnect()
  expect(acknowledged.filter((value) => value !== undefined && !stored.has(value))).not.toEqual([])
})

describe.each(clients)('%s behind the port', (client) => {
  test('a lost acknowledgement loses nothing, doubles nothing and keeps the order', { timeout: 60_000 }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    await direct.declare(topic, AbortSignal.timeout(10_000))
    const proxy = await proxied()
    const driver = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
    const signal = AbortSignal.timeout(30_000)
    const send = async (n: number): Promise<boolean> => {
      const [result] = await driver.send([message(n)], { signal })
      return result?.ok === true
    }
    for (let n = 0; n < 3; n++) expect(await send(n)).toBe(true)
    for (let round = 0; round < 5; round++) {
      const cut = proxy.cutBeforeAnswer({ when: answers(`${namespace}.orders`) })
      const from = 3 + round * 10
      expect(await Promise.all(Array.from({ length: 10 }, (_, n) => send(from + n)))).not.toContain(false)
      expect(await cut).toBe(true)
    }
    expect(await log(direct, topic)).toEqual(Array.from({ length: 53 }, (_, n) => `${n}`))
  })

  test('no answer by the deadline is unknown, and what comes later is not taken for its repetition', {
    timeout: 60_000,
  }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    await direct.declare(topic, AbortSignal.timeout(10_000))
    const proxy = await proxied()
    const driver = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
    await driver.send([message(0)], { signal: AbortSignal.timeout(10_000) })
    proxy.freeze('down')
    const { passed } = proxy.counts.up
    const deadline = new AbortController()
    const sending = driver.send([message(1)], { signal: deadline.signal })
    await proxy.until(({ up }) => up.passed > passed)
    deadline.abort()
    const begin = performance.now()
    const [result] = await sending
    // Half of what a request may take.
    expect(performance.now() - begin).toBeLessThan(5_000)
    expect(result).toMatchObject({ ok: false, error: { outcome: 'unknown' } })
    await proxy.restore()
    proxy.cut()
    const results = await driver.send([message(2), message(3)], { signal: AbortSignal.timeout(20_000) })
    expect(results.map(({ ok }) => ok)).toEqual([true, true])
    expect(await log(direct, topic)).toEqual(['0', '1', '2', '3'])
  })

  test.each([
    ['a producer id', true],
    ['where its topic lies', false],
  ])(
    'what waited for %s until its deadline has failed, and is not written later',
    { timeout: 60_000 },
    async (_, known) => {
      const namespace = name()
      const direct = await connect(namespace, { client })
      await direct.declare(topic, AbortSignal.timeout(10_000))
      const proxy = await proxied()
      const driver = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
      if (known) await driver.declare(topic, AbortSignal.timeout(10_000))
      proxy.freeze('down')
      const [result] = await driver.send([message(1)], { signal: AbortSignal.timeout(1_000) })
      expect(result).toMatchObject({ ok: false, error: { outcome: 'failed' } })
      await proxy.restore()
      const [next] = await driver.send([message(2)], { signal: AbortSignal.timeout(20_000) })
      expect(next).toMatchObject({ ok: true })
      await driver.close()
      expect(await log(direct, topic)).toEqual(['2'])
    },
  )

  test('nobody there: a send fails by its deadline, as not written', { timeout: 60_000 }, async () => {
    const namespace = name()
    const proxy = await proxied()
    const driver = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
    await driver.declare(topic, AbortSignal.timeout(10_000))
    await driver.send([message(0)], { signal: AbortSignal.timeout(10_000) })
    proxy.refuse()
    proxy.cut()
    await until('it has noticed, and writes no more to the connection that is ending', async () => {
      const [result] = await driver.send([message(1)], { signal: AbortSignal.timeout(500) })
      expect(result).toMatchObject({ ok: false, error: { retryable: true } })
      return result?.ok === false && result.error.outcome === 'failed'
    })
    const [result] = await driver.send([message(2)], { signal: AbortSignal.timeout(1_000) })
    expect(result).toMatchObject({ ok: false, error: { retryable: true, outcome: 'failed' } })
  })
})
