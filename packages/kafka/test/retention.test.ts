// What Kafka deletes although a group has not handled it, told before it happens; and topics that keep less safely than they should.
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { address, bodies, clients, connect, eat, message, name, open, receive, topicOf, until } from './stand.ts'
import { alter } from './topics.ts'

const signal = (): AbortSignal => AbortSignal.timeout(20_000)

describe.each(clients)('%s', (client) => {
  test('rule 16: what retention will soon take is told once while it waits, and not when it is handled', {
    timeout: 60_000,
  }, async () => {
    const driver = await connect(name(), { client })
    // Kafka looks for what is too old every five minutes: here it stays.
    const topic = topicOf({ partitions: 1, retentionMs: 6_000 })
    await driver.declare(topic, signal())
    const slow = await open(driver, topic)
    const quick = await open(driver, topic, { group: 'quick' })
    const began = Date.now()
    await driver.send([message(0), message(1)], { signal: signal() })
    await eat(quick, 2)
    const held = await receive(slow, 2)
    const { lostInMs } = await driver.lag(topic, 'g', signal())
    expect(lostInMs).toBeGreaterThan(0)
    expect(lostInMs).toBeLessThanOrEqual(6_000)
    await until('the danger is told', () => slow.events.length > 0)
    expect(Date.now() - began).toBeGreaterThan(4_400)
    expect(slow.events).toEqual([{ event: 'at-risk', topic: 'orders', lostInMs: expect.any(Number) }])
    await slow.settle(held.map(({ token }) => ({ token, verdict: 'ack' })))
    expect((await driver.lag(topic, 'g', signal())).lostInMs).toBeUndefined()
    expect(quick.events).toEqual([])
  })

  test('an offset past the end (another topic was made by that name) is told, and all that is there is read', {
    timeout: 60_000,
  }, async () => {
    const namespace = name()
    const driver = await connect(namespace, { client })
    const topic = topicOf({ partitions: 1 })
    await driver.declare(topic, signal())
    await driver.send([message(0), message(1)], { signal: signal() })
    const admin = new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const offset = { partition: 0, offset: '5' }
    await admin.setOffsets({ groupId: `${namespace}.g`, topic: `${namespace}.orders`, partitions: [offset] })
    await admin.disconnect()
    const source = await open(driver, topic)
    expect(bodies(await eat(source, 2))).toEqual(['0', '1'])
    expect(source.events).toEqual([{ event: 'position-lost', topic: 'orders', position: '0:5' }])
  })

  test('a topic that keeps messages for less long than asked for is refused with what mends it', {
    timeout: 60_000,
  }, async () => {
    const namespace = name()
    const driver = await connect(namespace, { client })
    await driver.declare(topicOf({ retentionMs: 60_000 }), signal())
    const longer = topicOf({ retentionMs: 90_000 })
    const other = await connect(namespace, { client })
    await expect(other.declare(longer, signal())).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(
        `60000 ms .* asks for 90000; run: kafka-configs.sh --alter --entity-type topics --entity-name ${namespace}.orders --add-config retention.ms=90000`,
      ),
    })
    await alter(`${namespace}.orders`, 'retention.ms', '90000')
    await other.declare(longer, signal())
    // What is kept for longer than asked for is kept.
    await other.declare(topicOf({ retentionMs: 30_000 }), signal())
  })

  test('a topic that keeps less safely than asked for is refused with what mends it', { timeout: 60_000 }, async () => {
    const namespace = name()
    const topic = topicOf({ partitions: 1 })
    await (await connect(namespace, { client })).declare(topic, signal())
    const safe = await connect(namespace, { client, replication: { minInSync: 2 } })
    await expect(safe.declare(topic, signal())).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(
        `kafka-configs.sh --alter --entity-type topics --entity-name ${namespace}.orders --add-config min.insync.replicas=2`,
      ),
    })
    await alter(`${namespace}.orders`, 'min.insync.replicas', '2')
    // What the command said is done; now no send would ever be acknowledged.
    await expect(safe.declare(topic, signal())).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/has 1 replicas .* needs 2.*kafka-reassign-partitions.sh/),
    })
    const copied = await connect(namespace, { client, replication: { factor: 3 } })
    await expect(copied.declare(topic, signal())).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/has 1 replicas .* asks for 3.*kafka-reassign-partitions.sh/),
    })
    await expect(copied.declare(topicOf({ name: 'new' }), signal())).rejects.toMatchObject({ code: 'invalid' })
  })
})
