// A client that the user made: we connect as it does, leave it as it is, and end only what we opened ourselves.
import { Admin } from '@platformatic/kafka'
import type { Driver } from '@posthorn/core/driver'
import { planOf, systemClock } from '@posthorn/core/driver'
import { Kafka, logLevel } from 'kafkajs'
import { expect, onTestFinished, test } from 'vitest'
import { type KafkaOptions, kafka } from '../src/index.ts'
import { address, connect, log, message, name, topicOf } from './stand.ts'

const topic = topicOf({ partitions: 1 })
const signal = (): AbortSignal => AbortSignal.timeout(20_000)

async function by(options: KafkaOptions): Promise<{ driver: Driver; namespace: string }> {
  const namespace = name()
  const driver = await planOf(kafka(options)).connect({
    namespace,
    topology: 'declare',
    connectTimeoutMs: 10_000,
    clock: systemClock,
    clientId: 'given',
    report: () => {},
    signal: new AbortController().signal,
  })
  onTestFinished(() => driver.close())
  return { driver, namespace }
}

async function roundTrip(driver: Driver): Promise<void> {
  await driver.declare(topic, signal())
  expect((await driver.send([message(1)], { signal: signal() })).map(({ ok }) => ok)).toEqual([true])
  expect(await log(driver, topic)).toEqual(['1'])
}

test('a Kafka of kafkajs: its brokers and its sockets are used, and it goes on after us', {
  timeout: 60_000,
}, async () => {
  const host = await address()
  let opened = 0
  const { connect: tcp } = await import('node:net')
  const mine = new Kafka({
    // Found out when they are needed, as kafkajs allows.
    brokers: async () => [host],
    logLevel: logLevel.NOTHING,
    socketFactory: ({ host: to, port, onConnect }) => {
      opened++
      return tcp({ host: to, port }, onConnect)
    },
  })
  const { driver, namespace } = await by({ client: mine })
  expect(driver.client).toBe(mine)
  await roundTrip(driver)
  expect(opened).toBeGreaterThan(0)
  await driver.close()
  const admin = mine.admin()
  await admin.connect()
  expect(await admin.listTopics()).toContain(`${namespace}.orders`)
  await admin.disconnect()
})

test('an Admin of @platformatic/kafka: its brokers are used, and it goes on after us', {
  timeout: 60_000,
}, async () => {
  const mine = new Admin({ clientId: 'mine', bootstrapBrokers: [await address()] })
  onTestFinished(() => mine.close())
  const { driver, namespace } = await by({ client: mine })
  expect(driver.client).toBe(mine)
  await roundTrip(driver)
  await driver.close()
  expect(mine.closed).toBe(false)
  expect(await mine.listTopics()).toContain(`${namespace}.orders`)
})

test('an Admin that we made ends with us', { timeout: 60_000 }, async () => {
  const driver = await connect(name(), { client: 'platformatic' })
  const admin = driver.client as Admin
  expect((await admin.metadata({ topics: [] })).brokers.size).toBe(1)
  await driver.close()
  expect(admin.closed).toBe(true)
})

test.each([
  [{ client: new Kafka({ brokers: ['h:1'] }), brokers: 'h:1' }, /leave brokers out/],
  [{ client: new Kafka({ brokers: ['h:1'] }), tls: true }, /leave tls out/],
  [{ client: {} as Kafka }, /give 'kafkajs', 'platformatic', a Kafka of kafkajs or an Admin/],
])('options that contradict a client of your own are refused (%#)', (options, told) => {
  expect(() => kafka(options)).toThrow(told)
})
