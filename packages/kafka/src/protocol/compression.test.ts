// Against an implementation that is not ours: what we write it reads, what it writes we read.
import { compressionsAlgorithms } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compressLz4, decompressLz4 } from './lz4.ts'
import { compressSnappy, decompressSnappy } from './snappy.ts'

const codecs = {
  snappy: { compress: compressSnappy, decompress: decompressSnappy },
  lz4: { compress: compressLz4, decompress: decompressLz4 },
} as const

/** Like what is sent: pieces of a small alphabet that come again, noise between them. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(5_000))
        .map(([piece, times]) => Buffer.alloc(times, piece)),
    ),
    { maxLength: 60 },
  )
  .map((pieces) => Buffer.concat(pieces))

describe.each(['snappy', 'lz4'] as const)('%s', (name) => {
  const { compress, decompress } = codecs[name]
  const theirs = compressionsAlgorithms[name]
  /** Theirs throws for no bytes at all when its memory has grown meanwhile; a byte before renews its view of it. */
  const compressByThem = (data: Buffer): Buffer => {
    theirs.compressSync(Buffer.alloc(1))
    return Buffer.from(theirs.compressSync(data))
  }

  test('what we write is read by us and by others', () => {
    fc.assert(
      fc.property(bytes, (data) => {
        const small = compress(data)
        expect(decompress(small).equals(data)).toBe(true)
        expect(Buffer.from(theirs.decompressSync(small)).equals(data)).toBe(true)
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  test('what others write is read', () => {
    // Enough to make its memory grow, then nothing at all.
    for (const size of [5_000_000, 0])
      expect(decompress(compressByThem(Buffer.alloc(size, 'abc'))).equals(Buffer.alloc(size, 'abc'))).toBe(true)
    fc.assert(
      fc.property(bytes, (data) => {
        expect(decompress(compressByThem(data)).equals(data)).toBe(true)
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  test('what repeats gets small, what does not stays as it is', () => {
    const text = Buffer.from(JSON.stringify(Array.from({ length: 5_000 }, (_, n) => ({ order: n, state: 'paid' }))))
    expect(compress(text).length).toBeLessThan(text.length / 3)
    const noise = Buffer.from(Array.from({ length: 200_000 }, (_, n) => (Math.imul(n, 2654435761) >>> 13) & 255))
    expect(compress(noise).length).toBeLessThan(noise.length * 1.02 + 64)
  })

  const given = (data: Buffer): Buffer | undefined => {
    try {
      return decompress(data)
    } catch {
      return undefined
    }
  }

  test('what is cut off or damaged throws or is short; it never costs memory nor runs on', () => {
    const text = Buffer.from('nothing but words, words, words '.repeat(4_000))
    const sound = compress(text)
    for (let end = 1; end < sound.length; end++) expect(given(sound.subarray(0, end))?.equals(text)).not.toBe(true)
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const hurt = Buffer.from(sound)
        hurt[at] = (hurt[at] as number) ^ change
        expect(given(hurt)?.length ?? 0).toBeLessThan(10_000_000)
      }),
      { seed: 1, numRuns: 500 },
    )
  })
})
