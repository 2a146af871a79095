import { expect, test } from 'vitest'
import { fromUrl, kafka } from './index.ts'
import { optionsOfUrl, settingsOf } from './options.ts'

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
})

test('no secret is in what an adapter shows of itself or throws', () => {
  const adapter = kafka({ brokers: 'h:1', sasl: { mechanism: 'plain', username: 'me', password: 'canary-secret' } })
  expect(JSON.stringify(adapter)).not.toContain('canary-secret')
  expect(() => fromUrl('kafka://me:canary-secret@h/?x=1')).toThrow(expect.not.stringContaining('canary-secret'))
})
