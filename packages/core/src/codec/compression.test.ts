import zlib, { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isMessagingError } from '../errors.ts'
import type { Codec } from '../face/messages.ts'
import { bytes } from './bytes.ts'
import { cloudEvents } from './cloud-events.ts'
import { freeUnpacked, gzip, maxRatio, maxUnpacked, zstd } from './compression.ts'
import { text } from './text.ts'

const context = { id: '1', topic: 'orders', headers: {} }
const pack = (codec: Codec, value: unknown) => codec.encode(value, context) as Uint8Array

test.each([
  [gzip(), 'application/json+gzip'],
  [zstd(), 'application/json+zstd'],
  [gzip(text), 'text/plain+gzip; charset=utf-8'],
  [zstd(bytes), 'application/octet-stream+zstd'],
])('%#: the content type says both', (codec, wanted) => expect(codec.contentType).toBe(wanted))

test('one packing is enough', () => {
  expect(() => gzip(zstd())).toThrow(/packs already \(application\/json\+zstd\)/)
})

describe.each([
  ['gzip', gzip(bytes), gzipSync],
  ['zstd', zstd(bytes), zstdCompressSync],
] as const)('%s', (name, codec, packOutside) => {
  test('what is packed comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (body) => {
        expect(Buffer.compare(codec.decode(pack(codec, body), context) as Uint8Array, body)).toBe(0)
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  test('each cut is refused, each changed byte is refused or without effect', () => {
    const body = Buffer.from(JSON.stringify({ order: '42', items: [1, 2, 3], note: 'x'.repeat(50) }))
    const packed = pack(codec, body)
    for (let end = 0; end < packed.length; end += 1)
      expect(() => codec.decode(packed.subarray(0, end), context)).toThrow(expect.objectContaining({ code: 'codec' }))
    for (let at = 0; at < packed.length * 8; at += 1) {
      const changed = Uint8Array.from(packed)
      changed[at >> 3] = (changed[at >> 3] as number) ^ (1 << (at & 7))
      try {
        expect(Buffer.compare(codec.decode(changed, context) as Uint8Array, body)).toBe(0)
      } catch (error) {
        if (!isMessagingError(error, 'codec')) throw error
      }
    }
  })

  test('what does not begin as it should is refused with what it begins with', () => {
    const message = new RegExp(`^${name}: a body of 'orders' .* is not ${name}: it begins 7b226122`)
    expect(() => codec.decode(Buffer.from('{"a":1}'), context)).toThrow(message)
    expect(() => codec.decode(new Uint8Array(0), context)).toThrow(/it is empty/)
    expect(() => codec.decode(Buffer.concat([pack(codec, Buffer.from('a')), Buffer.from('b')]), context)).toThrow(
      /damaged/,
    )
  })

  test('a bomb is refused, and not written either', () => {
    const large = new Uint8Array(maxUnpacked + 1)
    expect(() => codec.decode(packOutside(large), context)).toThrow(/unpacks to more than/)
    expect(() => codec.encode(large, context)).toThrow(/which readers would refuse/)
    const dense = new Uint8Array(freeUnpacked * 4)
    expect(packOutside(dense).length * maxRatio).toBeLessThan(dense.length)
    expect(() => codec.decode(packOutside(dense), context)).toThrow(/unpacks to more than/)
    expect(() => codec.encode(dense, context)).toThrow(/which readers would refuse/)
  })

  test('up to a megabyte no ratio is asked', () => {
    const body = new Uint8Array(freeUnpacked)
    expect(codec.decode(pack(codec, body), context)).toHaveLength(freeUnpacked)
  })
})

test('an inner codec may wait and may add headers', async () => {
  const waiting: Codec = { ...text, encode: (value) => Promise.resolve(Buffer.from(String(value))) }
  const codec = zstd(cloudEvents(waiting, { source: '/a', type: 'b' }))
  const encoded = (await codec.encode('x', context)) as { bytes: Uint8Array; headers: Record<string, string> }
  expect(encoded.headers['ce-id']).toBe('1')
  expect(codec.decode(encoded.bytes, context)).toBe('x')
})

test('a window beyond the largest body is refused before it is reserved', () => {
  // Frame header: no single segment, window descriptor of 2^31.
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0, 0)
  expect(() => zstd(bytes).decode(frame, context)).toThrow(/too much memory/)
})

test.each([null, 5, {}, { level: 9 }])('packs nothing but a codec: %j', (inner) => {
  for (const make of [gzip, zstd])
    expect(() => make(inner as never)).toThrow(/^(gzip|zstd)\(\): what it packs is .*; give a codec, such as json/)
})

test('an older Node has no zstd: said when it is used, and nothing else is kept from working', () => {
  const { zstdCompressSync: pack, zstdDecompressSync: unpack } = zlib
  onTestFinished(() => void Object.assign(zlib, { zstdCompressSync: pack, zstdDecompressSync: unpack }))
  const codec = zstd(bytes)
  const frame = codec.encode(Buffer.from('x'), context) as Uint8Array
  Object.assign(zlib, { zstdCompressSync: undefined, zstdDecompressSync: undefined })
  const refused = expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('run Node 22.22') })
  expect(() => codec.encode(Buffer.from('x'), context)).toThrow(refused)
  expect(() => codec.decode(frame, context)).toThrow(refused)
  expect(gzip(bytes).encode(Buffer.from('x'), context)).toBeInstanceOf(Uint8Array)
})
