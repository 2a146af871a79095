import { type } from 'arktype'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { decodeBody, type Encased, encodeBody } from './body.ts'
import { bytes } from './codec/bytes.ts'
import { gzip, zstd } from './codec/compression.ts'
import { text } from './codec/text.ts'
import { isMessagingError, type MessagingError } from './errors.ts'
import type { AnyTopic, Codec } from './face/messages.ts'
import { topic, topicParts } from './topic.ts'

const context = { id: 'x', topic: 't', headers: {} }
const encode = (on: AnyTopic, value: unknown): Uint8Array => encodeBody(topicParts(on), value, context) as Uint8Array
const arrival = (body: string | Uint8Array, over: Partial<Encased> = {}): Encased => ({
  id: 'x',
  topic: 't',
  headers: {},
  body: typeof body === 'string' ? Buffer.from(body) : body,
  contentType: 'application/json',
  version: undefined,
  ...over,
})
const decode = (on: AnyTopic | undefined, message: Encased): unknown =>
  decodeBody(on === undefined ? undefined : topicParts(on), message)
async function fault(work: () => unknown): Promise<MessagingError> {
  try {
    await work()
  } catch (error) {
    if (isMessagingError(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}

const libraries = [
  ['zod', topic('t', { schema: z.object({ id: z.string().min(1), n: z.number().default(7) }) })],
  [
    'valibot',
    topic('t', { schema: v.object({ id: v.pipe(v.string(), v.minLength(1)), n: v.optional(v.number(), 7) }) }),
  ],
  ['arktype', topic('t', { schema: type({ id: 'string > 0', n: 'number = 7' }) })],
] as const

for (const [name, on] of libraries)
  test(`${name}: checks what is sent, writes it as it was given, and completes what is read`, async () => {
    expect(Buffer.from(encode(on, { id: 'a' })).toString()).toBe('{"id":"a"}')
    expect(decode(on, arrival('{"id":"a"}'))).toEqual({ id: 'a', n: 7 })
    const refused = await fault(() => encode(on, { id: '' }))
    expect(refused.code).toBe('invalid')
    expect(refused.message).toMatch(/^the body for t is refused by its schema: id: /)
    expect(refused.issues.length).toBe(1)
    expect(await fault(() => decode(on, arrival('{"id":5}')))).toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/^the body of x on t is refused by its schema: id: /),
    })
  })

test('a schema that takes its time makes the body a promise, both ways', async () => {
  const slow = topic('t', { schema: z.object({ id: z.string().refine(async (id) => id !== 'bad') }) })
  const encoded = encodeBody(topicParts(slow), { id: 'a' }, context)
  expect(encoded).toBeInstanceOf(Promise)
  expect(await encoded).toEqual(Buffer.from('{"id":"a"}'))
  expect(await decode(slow, arrival('{"id":"a"}'))).toEqual({ id: 'a' })
  expect((await fault(() => encodeBody(topicParts(slow), { id: 'bad' }, context))).code).toBe('invalid')
  expect((await fault(() => decode(slow, arrival('{"id":"bad"}')))).code).toBe('invalid')
})

test('without schema and with a plain codec nothing is a promise', () => {
  const plain = topic('t', { version: 2 })
  expect(encode(plain, { a: 1 })).toEqual(Buffer.from('{"a":1}'))
  expect(decode(plain, arrival('{"a":1}', { version: 2 }))).toEqual({ a: 1 })
})

test('the topic’s codec reads, packed as the message says', () => {
  const json = topic('t')
  for (const packing of [gzip(), zstd()]) {
    const packed = encode(topic('t', { codec: packing }), { a: 'x'.repeat(500) })
    expect(packing.contentType).not.toBe('application/json')
    expect(decode(json, arrival(packed, { contentType: packing.contentType }))).toEqual({ a: 'x'.repeat(500) })
  }
  expect(decode(json, arrival('{"a":1}', { contentType: undefined }))).toEqual({ a: 1 })
  expect(decode(json, arrival('{"a":1}', { contentType: 'application/octet-stream' }))).toEqual({ a: 1 })
  expect(decode(topic('t', { codec: text }), arrival('{"a":1}'))).toBe('{"a":1}')
  expect(decode(topic('t', { codec: bytes }), arrival('{}'))).toEqual(Buffer.from('{}'))
})

test('without a topic the content type tells', () => {
  const cases: [string | undefined, unknown][] = [
    ['application/json', { a: 1 }],
    ['application/json; charset=utf-8', { a: 1 }],
    ['application/vnd.shop.order+json', { a: 1 }],
    [undefined, { a: 1 }],
    ['text/plain', '{"a":1}'],
    ['text/csv; header=present', '{"a":1}'],
    ['image/png', Buffer.from('{"a":1}')],
  ]
  for (const [contentType, value] of cases)
    expect([contentType, decode(undefined, arrival('{"a":1}', { contentType }))]).toEqual([contentType, value])
  const codec = gzip()
  const packed = encode(topic('t', { codec }), { a: 1 })
  expect(decode(undefined, arrival(packed, { contentType: codec.contentType }))).toEqual({ a: 1 })
})

test('what no codec can write or read is a codec error that names the message and quotes nothing of the body', async () => {
  const broken = (over: Partial<Codec>): AnyTopic =>
    topic('t', { codec: { contentType: 'x/y', encode: () => new Uint8Array(1), decode: () => 1, ...over } })
  const thrown = (): never => {
    throw new SyntaxError('Unexpected token in "secret"')
  }
  const cases: [() => unknown, RegExp][] = [
    [() => encode(broken({ encode: thrown }), 1), /^the body for t could not be encoded as x\/y/],
    [
      () => encodeBody(topicParts(broken({ encode: async () => thrown() })), 1, context),
      /^the body for t could not be encoded/,
    ],
    [() => encode(broken({ encode: () => 'text' as never }), 1), /^the codec x\/y of t gave no bytes/],
    [() => encode(broken({ encode: () => undefined as never }), 1), /gave no bytes/],
    [
      () => decode(broken({ decode: thrown }), arrival('secret', { contentType: 'x/y' })),
      /^the body of x on t \(6 bytes\) could not be read as x\/y: it is malformed$/,
    ],
    [
      () => decode(broken({ decode: async () => thrown() }), arrival('secret', { contentType: 'x/y' })),
      /it is malformed$/,
    ],
    [() => decode(topic('t'), arrival('{"secret')), /on|of/],
  ]
  for (const [work, message] of cases) {
    const error = await fault(work)
    expect(error.code).toBe('codec')
    expect(error.message).toMatch(message)
    expect(error.message.replace(/^.*beginning/, '')).not.toMatch(/secret"/)
  }
})

test('an older body is brought up step by step before the schema sees it', async () => {
  const on = topic('t', {
    schema: z.object({ cents: z.number(), currency: z.string() }),
    version: 3,
    upcast: {
      1: (body) => ({ cents: Number((body as { euros: number }).euros) * 100 }),
      2: async (body) => ({ ...(body as object), currency: 'EUR' }),
    },
  })
  expect(await decode(on, arrival('{"euros":2}', { version: 1 }))).toEqual({ cents: 200, currency: 'EUR' })
  expect(await decode(on, arrival('{"euros":2}'))).toEqual({ cents: 200, currency: 'EUR' })
  expect(await decode(on, arrival('{"cents":5}', { version: 2 }))).toEqual({ cents: 5, currency: 'EUR' })
  expect(decode(on, arrival('{"cents":5,"currency":"USD"}', { version: 3 }))).toEqual({ cents: 5, currency: 'USD' })
  expect(decode(on, arrival('{"cents":5,"currency":"USD","new":1}', { version: 4 }))).toEqual({
    cents: 5,
    currency: 'USD',
  })
  const young = topic('t', {
    version: 3,
    upcast: {
      2: () => {
        throw new RangeError('no')
      },
    },
  })
  expect(await fault(() => decode(young, arrival('{}', { version: 1 })))).toMatchObject({
    code: 'codec',
    message: expect.stringContaining('give topic() an upcast[1]'),
  })
  expect(await fault(() => decode(young, arrival('{}', { version: 2 })))).toMatchObject({
    code: 'codec',
    message: 'the body of x on t could not be brought from version 2 to 3: RangeError: no',
  })
  const slowFault = topic('t', {
    version: 2,
    upcast: {
      1: async () => {
        throw new RangeError('later')
      },
    },
  })
  expect(await fault(() => decode(slowFault, arrival('{}')))).toMatchObject({ code: 'codec' })
})
