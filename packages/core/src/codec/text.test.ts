import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytes } from './bytes.ts'
import { text } from './text.ts'

const context = { id: '1', topic: 'orders', headers: {} }

test('a text comes back letter by letter, byte order mark and all', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(text.decode(text.encode(value, context) as Uint8Array, context)).toBe(value)
    }),
    { seed: 1, examples: [['\uFEFFa\uFEFF'], ['\0'], ['']], numRuns: 2_000 },
  )
})

test.each(['\ud800', 'a\udc00', 5, null, undefined, {}, Buffer.from('a')])('text refuses to write %o', (value) =>
  expect(() => text.encode(value, context)).toThrow(expect.objectContaining({ code: 'codec' })),
)

test.each([[[0xff]], [[0xc0, 0xaf]], [[0xed, 0xa0, 0x80]], [[0xf0, 0x9f, 0x98]]])('text refuses to read %o', (body) =>
  expect(() => text.decode(Uint8Array.from(body), context)).toThrow(/^text: the body \(\d bytes/),
)

test('bytes are not copied', () => {
  const body = Uint8Array.of(1, 2, 3)
  expect(bytes.encode(body, context)).toBe(body)
  expect(bytes.decode(body, context)).toBe(body)
})

test.each(['a', null, undefined, [1], { length: 1 }, new ArrayBuffer(1), new Uint16Array(1)])(
  'bytes refuses %o',
  (value) => {
    expect(() => bytes.encode(value, context)).toThrow(/^bytes: a body for 'orders'/)
    expect(() => bytes.decode(value as Uint8Array, context)).toThrow(/^bytes: the body is/)
  },
)
