// Bad bodies by name: bytes as they may lie on a broker, and values that have no form in JSON.
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Hostile, named } from './hostile.ts'

const utf8 = (text: string) => Buffer.from(text, 'utf8')
const long = (length: number) => 'x'.repeat(length)
const nest = (depth: number, open: string, close: string, core = '') => open.repeat(depth) + core + close.repeat(depth)
const gzipped = (text: string) => gzipSync(utf8(text))
const zstded = (text: string) => zstdCompressSync(utf8(text))
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] as number) ^ 0xff
  return copy
}

/** Bodies as they may lie on a broker: every codec reads each or refuses it with `codec`, within a second, and no prototype changes. */
export const hostileBodies: readonly Hostile<Uint8Array>[] = named({
  empty: () => new Uint8Array(0),
  'one NUL': () => new Uint8Array(1),
  'all 256 bytes': () => Uint8Array.from({ length: 256 }, (_, byte) => byte),
  'a megabyte of 0xff': () => new Uint8Array(2 ** 20).fill(0xff),
  'two megabytes of JSON': () => utf8(JSON.stringify(long(2 ** 21))),
  'blanks alone': () => utf8(' \n\t\r '),
  'a byte order mark alone': () => Uint8Array.of(0xef, 0xbb, 0xbf),
  'JSON behind a byte order mark': () => utf8('\uFEFF{"a":1}'),
  'UTF-16': () => Buffer.from('\uFEFF{"a":1}', 'utf16le'),
  'Latin-1': () => Buffer.from('"grün"', 'latin1'),
  'UTF-8 cut in a character': () => utf8('"\u{1F600}"').subarray(0, 3),
  'overlong UTF-8': () => Uint8Array.of(0x22, 0xc0, 0xaf, 0x22),
  'a surrogate in UTF-8': () => Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
  'beyond U+10FFFF': () => Uint8Array.of(0x22, 0xf4, 0x90, 0x80, 0x80, 0x22),
  'half a surrogate pair, escaped': () => utf8('{"a":"\\ud800"}'),
  'NUL, escaped': () => utf8('{"a":"\\u0000"}'),
  'CR and LF in a text': () => utf8('{"a":"x\\r\\nSEND\\r\\n\\r\\n"}'),
  'bare undefined': () => utf8('undefined'),
  'bare NaN': () => utf8('NaN'),
  'a number beyond all doubles': () => utf8('1e999'),
  'a number past 2^53': () => utf8('9007199254740993'),
  '100,000 digits': () => utf8('9'.repeat(100_000)),
  'JSON cut short': () => utf8('{"a":[1,2,{"b"'),
  'two JSON values': () => utf8('{"a":1}{"a":2}'),
  'a comma too many': () => utf8('[1,2,]'),
  'single quotes': () => utf8("{'a':1}"),
  'keys twice': () => utf8('{"a":1,"a":2,"a":3}'),
  '100,000 keys': () => utf8(`{${Array.from({ length: 100_000 }, (_, n) => `"k${n}":${n}`).join(',')}}`),
  'an empty key': () => utf8('{"":1}'),
  'lists 10,000 deep': () => utf8(nest(10_000, '[', ']')),
  'objects 10,000 deep': () => utf8(nest(10_000, '{"a":', '}', '1')),
  'lists 1,000,000 deep, not closed': () => utf8('['.repeat(1_000_000)),
  'brackets in a text': () => utf8(JSON.stringify('[{'.repeat(10_000))),
  '100,000 backslashes': () => utf8(JSON.stringify('\\'.repeat(100_000))),
  __proto__: () => utf8('{"__proto__":{"polluted":true}}'),
  '__proto__, escaped': () => utf8('{"\\u005f\\u005fproto\\u005f\\u005f":{"polluted":true}}'),
  '__proto__ far within': () => utf8(nest(500, '[', ']', '{"__proto__":{"polluted":true}}')),
  'constructor.prototype': () => utf8('{"constructor":{"prototype":{"polluted":true}}}'),
  'toJSON and then': () => utf8('{"toJSON":"x","then":"y","valueOf":1,"toString":2}'),
  'gzip cut short': () => gzipped('{"a":1}').subarray(0, -5),
  'gzip with a byte changed': () => flipped(gzipped('{"a":1}'), 14),
  'gzip with a wrong checksum': () => flipped(gzipped('{"a":1}'), gzipped('{"a":1}').length - 8),
  'gzip and more behind it': () => Buffer.concat([gzipped('{"a":1}'), utf8('more')]),
  'gzip of nothing': () => gzipped(''),
  'gzip twice': () => gzipSync(gzipped('{"a":1}')),
  'a gzip bomb': () => gzipSync(new Uint8Array(80 * 2 ** 20)),
  'a gzip header alone': () => Uint8Array.of(0x1f, 0x8b),
  'zstd cut short': () => zstded('{"a":1}').subarray(0, -3),
  'zstd with a byte changed': () => flipped(zstded('{"a":1}'), 6),
  'zstd and more behind it': () => Buffer.concat([zstded('{"a":1}'), utf8('more')]),
  'zstd of nothing': () => zstded(''),
  'a zstd bomb': () => zstdCompressSync(new Uint8Array(80 * 2 ** 20)),
  'zstd that asks for a window of 2 GiB': () => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x04, 0xa8, 0x01, 0, 0),
  HTML: () => utf8('"<script>alert(1)</script>"'),
})

function cyclic(): unknown {
  const value: Record<string, unknown> = { a: [] }
  value['a'] = [{ back: value }]
  return value
}

/** Shares one object so often that its JSON would be larger than any memory. */
function doubling(): unknown {
  let value: unknown = {}
  for (let level = 0; level < 60; level += 1) value = [value, value]
  return value
}

/** Values that `json` cannot carry there and back: each is refused with `codec` before anything is sent. */
export const refusedValues: readonly Hostile<unknown>[] = named<unknown>({
  undefined: () => undefined,
  'undefined in a list': () => [1, undefined],
  'a hole in a list': () => new Array(3),
  'a list of 4 billion holes': () => new Array(2 ** 32 - 1),
  'a function': () => () => 1,
  'a function within': () => ({ a: { b: () => 1 } }),
  'a symbol': () => Symbol('x'),
  'a bigint': () => ({ a: 1n }),
  NaN: () => ({ a: Number.NaN }),
  Infinity: () => [Number.NEGATIVE_INFINITY],
  'a cycle': cyclic,
  'one object in 2^60 places': doubling,
  '10,000 deep': () => JSON.parse(nest(10_000, '[', ']')),
  'a Map': () => new Map([['a', 1]]),
  'a Set within': () => ({ a: new Set([1]) }),
  'a promise': () => Promise.resolve(1),
  'an Error': () => new Error('x'),
  'a RegExp': () => /x/,
  bytes: () => Uint8Array.of(1, 2),
  'a Buffer within': () => ({ a: Buffer.from('x') }),
  'an own __proto__': () => JSON.parse('{"__proto__":{"polluted":true}}'),
  'a key constructor': () => ({ a: [{ constructor: 1 }] }),
  'a getter that throws': () => ({
    get a(): never {
      throw new Error('from a getter')
    },
  }),
  'a toJSON that throws': () => ({
    toJSON(): never {
      throw new Error('from toJSON')
    },
  }),
  'a toJSON that gives nothing': () => ({ toJSON: () => undefined }),
  'an invalid proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
})
