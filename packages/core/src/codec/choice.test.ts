import { expect, test } from 'vitest'
import type { Codec } from '../face/messages.ts'
import { bytes } from './bytes.ts'
import { readingCodec } from './choice.ts'
import { cloudEvents } from './cloud-events.ts'
import { gzip, zstd } from './compression.ts'
import { json } from './json.ts'
import { text } from './text.ts'

const context = { id: '1', topic: 'orders', headers: {} }
const events = (inner: Codec) => cloudEvents(inner, { source: '/a', type: 'b' })
const bodyOf = (codec: Codec, value: unknown) => {
  const encoded = codec.encode(value, context)
  return encoded instanceof Uint8Array ? encoded : (encoded as { bytes: Uint8Array }).bytes
}

test.each([
  [json, gzip()],
  [json, zstd()],
  [gzip(), json],
  [gzip(), zstd()],
  [zstd(text), text],
  [text, gzip(text)],
  [events(json), zstd()],
  [gzip(events(json)), json],
])('%#: a topic that packed otherwise when the message was written', (now, then) => {
  expect(readingCodec(now, then.contentType).decode(bodyOf(then, 'x'), context)).toBe('x')
})

test.each([
  undefined,
  '',
  'application/octet-stream',
  'text/html',
  '+gzip',
  'application/xml+gzip',
  'application/json+gzip+gzip',
  `${'x'.repeat(10_000)}/y`,
  ';',
])('foreign content type %j: the topic decides', (contentType) => {
  const codec = gzip()
  expect(readingCodec(codec, contentType)).toBe(codec)
})

test('parameters and case do not matter', () => {
  expect(readingCodec(gzip(text), 'Text/Plain;charset=UTF-8')).toBe(text)
  expect(readingCodec(json, 'application/JSON; charset=utf-8')).toBe(json)
})

test('a codec that packs within another is left alone', () => {
  const codec = events(gzip())
  expect(readingCodec(codec, 'application/json')).toBe(codec)
  expect(readingCodec(codec, 'application/json+zstd')).toBe(codec)
})

test('a choice is made once, and strangers cannot fill the memory with them', () => {
  expect(readingCodec(bytes, 'application/octet-stream+zstd')).toBe(
    readingCodec(bytes, 'application/octet-stream+zstd'),
  )
  for (let n = 0; n < 1_000; n += 1) expect(readingCodec(json, `a/${n}`)).toBe(json)
  const late = 'application/json+gzip'
  expect(readingCodec(json, late).contentType).toBe(late)
})
