// Every way to log in, against a broker that asks for it; and what is refused.
import { readFileSync } from 'node:fs'
import { certificatesOf, ensure, portsOfNode, stop, url } from '@posthorn/brokers'
import type { Driver } from '@posthorn/core/driver'
import { planOf, systemClock } from '@posthorn/core/driver'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type KafkaOptions, kafka, type SaslOptions } from '../src/index.ts'
import { bodies, clients, eat, log, message, open, topicOf } from './stand.ts'

const topic = topicOf({ partitions: 1 })
const signal = (): AbortSignal => AbortSignal.timeout(20_000)

async function connect(options: KafkaOptions, connectTimeoutMs = 10_000): Promise<Driver> {
  const driver = await planOf(kafka(options)).connect({
    namespace: `s${Date.now().toString(36)}`,
    topology: 'declare',
    connectTimeoutMs,
    clock: systemClock,
    clientId: 'secure',
    report: () => {},
    signal: new AbortController().signal,
  })
  onTestFinished(() => driver.close())
  return driver
}

async function roundTrip(driver: Driver): Promise<void> {
  await driver.declare(topic, signal())
  const [result] = await driver.send([message(1)], { signal: signal() })
  expect(result?.ok).toBe(true)
  expect(await log(driver, topic)).toEqual(['1'])
  // A group has connections of its own.
  expect(bodies(await eat(await open(driver, topic), 1))).toEqual(['1'])
}

const { username, password } = await (async () => {
  await ensure('kafka-secure')
  const given = new URL(url('kafka-secure'))
  return { username: given.username, password: given.password }
})()
const ports = portsOfNode('kafka-secure')
const files = certificatesOf('kafka-secure')
const at = (listener: string): string => `127.0.0.1:${ports[listener]}`
/** A token as a test broker takes it: unsigned. */
const token = (): string => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1_000)
  return `${part({ alg: 'none' })}.${part({ sub: username, iat: now, exp: now + 600 })}.`
}
const logins: readonly SaslOptions[] = [
  ...(['plain', 'scram-sha-256', 'scram-sha-512'] as const).map((mechanism) => ({ mechanism, username, password })),
  { mechanism: 'oauthbearer', token },
]

// A second broker is much for a small machine: it runs no longer than these tests.
afterAll(() => stop('kafka-secure'))

describe.each(clients)('%s', (client) => {
  let tls: NonNullable<Exclude<KafkaOptions['tls'], boolean>>
  beforeAll(() => {
    tls = { ca: readFileSync(files.authority, 'utf8') }
  })

  test.each(logins)('$mechanism logs in', async (sasl) => {
    await roundTrip(await connect({ brokers: at('sasl'), client, sasl }))
  })

  test.each(logins)('$mechanism logs in over TLS', async (sasl) => {
    await roundTrip(await connect({ brokers: at('saslTls'), client, sasl, tls }))
  })

  test('a client certificate is enough where the broker asks for one', async () => {
    const cert = readFileSync(files.client, 'utf8')
    const key = readFileSync(files.clientKey, 'utf8')
    await roundTrip(await connect({ brokers: at('tls'), client, tls: { ...tls, cert, key } }))
  })

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'a wrong password is unauthorized at once, and in no message (%s)',
    async (mechanism) => {
      const began = performance.now()
      const sasl: SaslOptions = { mechanism, username, password: 'canary-secret' }
      const error: unknown = await connect({ brokers: at('sasl'), client, sasl }, 60_000).catch(
        (thrown: unknown) => thrown,
      )
      expect(error).toMatchObject({ code: 'unauthorized' })
      // Long before it would give up trying.
      expect(performance.now() - began).toBeLessThan(20_000)
      expect(JSON.stringify(error) + String(error) + String((error as Error).stack)).not.toContain('canary-secret')
    },
  )

  test('a broker whose certificate nobody vouches for is not spoken to', async () => {
    const sasl: SaslOptions = { mechanism: 'plain', username, password }
    await expect(connect({ brokers: at('saslTls'), client, sasl, tls: true })).rejects.toMatchObject({
      code: 'unauthorized',
      retryable: false,
      message: expect.stringMatching(/certificate.*check that tls\.ca is who signed/),
    })
  })

  test('a broker whose certificate bears another name is not spoken to', async () => {
    const sasl: SaslOptions = { mechanism: 'plain', username, password }
    const elsewhere = { ...tls, servername: 'elsewhere.example' }
    await expect(connect({ brokers: at('saslTls'), client, sasl, tls: elsewhere })).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringMatching(/elsewhere\.example.*bears the name we connect to/),
    })
  })

  test('a client without a certificate is refused where the broker asks for one', async () => {
    await expect(connect({ brokers: at('tls'), client, tls })).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('nobody there is unavailable within the connect deadline', async () => {
    const began = performance.now()
    await expect(connect({ brokers: '127.0.0.1:1', client }, 1_500)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/is it running, .*connectTimeoutMs/),
    })
    expect(performance.now() - began).toBeLessThan(10_000)
  })
})
