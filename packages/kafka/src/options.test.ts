import { expect, test } from 'vitest'
import { fromUrl, kafka } from './index.ts'
import { mappingOf, optionsOfUrl, settingsOf } from './options.ts'

test('a URL says brokers, login, TLS and client', () => {
  const url = 'kafkas://me:pa%40ss@h1:9093,[::1]:9094,h3/?mechanism=scram-sha-512&client=platformatic&compression=zstd'
  const settings = settingsOf(optionsOfUrl(url))
  expect(settings.endpoints).toEqual([
    { host: 'h1', port: 9093 },
    { host: '::1', port: 9094 },
    { host: 'h3', port: 9092 },
  ])
  expect(settings.login).toEqual({ mechanism: 'scram-sha-512', user: 'me', password: 'pa@ss' })
  expect(settings.tls).toEqual({})
  expect(settings.client).toBe('platformatic')
  expect(settings.compression).toBe('zstd')
})

test.each([
  ['kafka://h/?retries=3', /retries/],
  ['kafka://h/topic', /path/],
  ['kafka://', /host/],
  ['amqp://h', /scheme/],
  ['kafka://h/?client=librdkafka', /librdkafka/],
  ['kafka://h/?mechanism=gssapi', /gssapi/],
  ['kafka://h/?tls=maybe', /tls/],
])('%s is refused by name', (url, told) => {
  expect(() => fromUrl(url)).toThrow(told)
})

test('a slip is refused, and so is what is no object of options', () => {
  expect(() => kafka({ brokers: 'h:1', compresion: 'zstd' } as never)).toThrow('did you mean compression?')
  for (const wrong of [undefined, null, 5])
    expect(() => kafka(wrong as never)).toThrow(/^kafka\(\): .*; give an object/)
  expect(() => kafka('kafka://h:1' as never)).toThrow(/is a URL; give .* as in kafka\(\{ brokers: .*for connect\(\)/)
})

test.each([
  [{ brokers: 5 }, /brokers is 5; give host:port/],
  [{ brokers: '' }, /is not a broker|at least one broker/],
  [{ brokers: 'h:99999' }, /99999/],
  [{ client: 'librdkafka' }, /librdkafka/],
  [{ client: null }, /client/],
  [{ compression: 'brotli' }, /compression is "brotli"; give 'none' or/],
  [{ tls: 'yes' }, /tls is "yes"/],
  [{ replication: 3 }, /replication is 3/],
  [{ replication: { factor: 0 } }, /factor is 0; give a whole number/],
  [{ replication: { minInsync: 2 } }, /did you mean minInSync\?/],
  [{ replication: { factor: 2, minInSync: 3 } }, /no send would ever be acknowledged/],
  [{ instanceId: '' }, /instanceId/],
  [{ sessionTimeoutMs: '10s' }, /sessionTimeoutMs is "10s"/],
  [{ sessionTimeoutMs: Number.NaN }, /sessionTimeoutMs is NaN/],
  [{ drainMs: -1 }, /drainMs is -1/],
  [{ maxBytes: 0 }, /maxBytes is 0/],
  [{ sasl: 'plain' }, /sasl is "plain"; give an object/],
  [{ sasl: {} }, /mechanism/],
  [{ sasl: { mechanism: 'scram-sha-1', username: 'me', password: 'x' } }, /scram-sha-1/],
  [{ sasl: { mechanism: 'plain', username: 'me', password: undefined } }, /sasl.password is no text; plain needs/],
  [{ sasl: { mechanism: 'oauthbearer', token: 'abc' } }, /token/],
])('the options %j are refused with what to give (%#)', (options, told) => {
  expect(() => kafka({ brokers: 'h:1', ...options } as never)).toThrow(told)
})

test('a mapping that is not one is refused, and does not make a topic of ours', () => {
  for (const [on, told] of [
    ['their.topic', /topic orders: on\.kafka: .*give an object/],
    [{ tpoic: 'their.topic' }, /did you mean topic\?/],
    [{ topic: '' }, /topic is ""/],
    [{ topic: 'theirs', groups: { billing: 5 } }, /groups: billing is 5/],
  ] as const)
    expect(() => mappingOf(on, 'orders')).toThrow(told)
  expect(mappingOf({ topic: 'theirs', groups: { billing: 'their-group' } }, 'orders')).toBeDefined()
})

test('no secret is in what an adapter shows of itself or throws', () => {
  const half = { mechanism: 'plain', username: 12, password: 'canary-secret' } as never
  expect(() => kafka({ brokers: 'h:1', sasl: half })).toThrow(expect.not.stringContaining('canary-secret'))
  const adapter = kafka({ brokers: 'h:1', sasl: { mechanism: 'plain', username: 'me', password: 'canary-secret' } })
  expect(JSON.stringify(adapter)).not.toContain('canary-secret')
  expect(() => fromUrl('kafka://me:canary-secret@h/?x=1')).toThrow(expect.not.stringContaining('canary-secret'))
})
