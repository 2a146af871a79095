import { expect, test } from 'vitest'
import type { Encoded } from '../face/messages.ts'
import { type CloudEventsOptions, cloudEvents } from './cloud-events.ts'
import { json } from './json.ts'

const context = { id: 'id-1', topic: 'orders', headers: {} }
const headersOf = (encoded: Encoded | Promise<Encoded>) => (encoded as { headers: Record<string, string> }).headers

test('binary mode: the data is the body, the attributes are headers', () => {
  const codec = cloudEvents(undefined, { source: '/shop', type: 'order.created' })
  const encoded = codec.encode({ a: 1 }, context) as { bytes: Uint8Array; headers: Record<string, string> }
  expect(codec.contentType).toBe('application/json')
  expect(Buffer.from(encoded.bytes).toString()).toBe('{"a":1}')
  expect(encoded.headers).toEqual({
    'ce-specversion': '1.0',
    'ce-id': 'id-1',
    'ce-source': '/shop',
    'ce-type': 'order.created',
  })
})

test('a type made of the message, the prefix of another binding, a header of the sender', () => {
  const codec = cloudEvents(json, { source: '/shop', type: ({ topic }) => `shop.${topic}`, prefix: 'ce_' })
  expect(headersOf(codec.encode(1, { ...context, headers: { ce_source: '/mine' } }))).toMatchObject({
    ce_type: 'shop.orders',
    ce_source: '/mine',
  })
})

test('reads events, plain messages, and no other major version', () => {
  const codec = cloudEvents(undefined, { source: '/shop', type: 't' })
  const body = Buffer.from('1')
  expect(codec.decode(body, context)).toBe(1)
  expect(codec.decode(body, { ...context, headers: { 'ce-specversion': '1.0' } })).toBe(1)
  for (const version of ['2.0', '0.3', '', '1', 'x'.repeat(1_000)])
    expect(() => codec.decode(body, { ...context, headers: { 'ce-specversion': version } })).toThrow(
      /1\.0 is read here/,
    )
})

test.each([
  { source: '', type: 't' },
  { source: 'a\nb', type: 't' },
  { source: '/a', type: '' },
  { source: '/a' },
  { source: '/a', type: 't', prefix: 'x-' },
])('refuses %j', (options) =>
  expect(() => cloudEvents(undefined, options as CloudEventsOptions)).toThrow(/^cloudEvents\(\): /),
)

test('refuses a type that the function did not make', () => {
  const codec = cloudEvents(undefined, { source: '/a', type: () => '' })
  expect(() => codec.encode(1, context)).toThrow(/^cloudEvents\(\): what type/)
})
