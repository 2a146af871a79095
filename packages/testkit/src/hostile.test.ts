import { bytes, type Codec, cloudEvents, gzip, isMessagingError, json, text, topic, zstd } from '@posthorn/core'
import { decodeHeaders, isOwnHeader } from '@posthorn/core/driver'
import { describe, expect, test } from 'vitest'
import {
  awkwardNames,
  awkwardTexts,
  forgedHeaders,
  refusedHeaders,
  refusedIds,
  refusedNames,
  refusedNumbers,
  refusedTexts,
} from './hostile.ts'
import { hostileBodies, refusedValues } from './hostile-bodies.ts'

const context = { id: '1', topic: 'orders', headers: {} }
const codecs: readonly Codec[] = [
  json,
  text,
  bytes,
  gzip(),
  zstd(),
  gzip(text),
  zstd(bytes),
  cloudEvents(undefined, { source: '/a', type: 'b' }),
]
const lists = {
  awkwardNames,
  awkwardTexts,
  forgedHeaders,
  hostileBodies,
  refusedHeaders,
  refusedIds,
  refusedNames,
  refusedNumbers,
  refusedTexts,
  refusedValues,
}

/** Nothing that was read has reached what all objects share. */
function expectNoPollution(value?: unknown): void {
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  if (typeof value === 'object' && value !== null)
    expect((value as Record<string, unknown>)['polluted'], 'an inherited property').toBeUndefined()
}

test.each(Object.entries(lists))('%s has each name once', (_, list) => {
  const names = list.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThan(5)
})

describe.each(codecs.map((codec) => [codec.contentType, codec] as const))('%s reads or refuses', (_, codec) => {
  test.each(hostileBodies.map(({ name, make }) => [name, make] as const))('%s', (_, make) => {
    let value: unknown
    try {
      value = codec.decode(make(), context)
    } catch (error) {
      if (!isMessagingError(error, 'codec')) throw error
      expect(error.message).toMatch(/^\w+: .*(orders|body)/)
      expect(error.message.length).toBeLessThan(400)
      return
    }
    expectNoPollution(value)
    // What was read can be walked, and what json read can be sent on.
    if (codec === json && value !== Number.POSITIVE_INFINITY) expect(() => json.encode(value, context)).not.toThrow()
  })
})

test.each(refusedValues.map(({ name, make }) => [name, make] as const))('json refuses to write %s', (_, make) => {
  let found: unknown
  try {
    json.encode(make(), context)
  } catch (error) {
    found = error
  }
  expect(isMessagingError(found, 'codec')).toBe(true)
  expect((found as Error).message).toMatch(/^json: a body for 'orders'/)
  expect((found as Error).message.length).toBeLessThan(300)
})

test.each(refusedNames.map(({ name, make }) => [name, make] as const))('no topic is called %s', (_, make) => {
  expect(() => topic(make() as string)).toThrow(expect.objectContaining({ code: 'invalid' }))
})

test.each(awkwardNames.map(({ name, make }) => [name, make] as const))('a topic may be called %s', (_, make) => {
  expect(topic(make()).name).toBe(make())
})

test.each(awkwardTexts.map(({ name, make }) => [name, make] as const))('as a body, %s comes back', async (_, make) => {
  for (const codec of [text, json, gzip(text), zstd()])
    expect(codec.decode((await codec.encode(make(), context)) as Uint8Array, context)).toBe(make())
})

test.each(forgedHeaders.map(({ name, make }) => [name, make] as const))(
  'decoded headers hold no forgery: %s',
  (_, make) => {
    const decoded = decodeHeaders(Object.fromEntries(make()))
    for (const field of [
      'generation',
      'failures',
      'lone',
      'sentAt',
      'expiresAt',
      'priority',
      'version',
      'notBefore',
    ] as const) {
      const value = decoded[field]
      if (value !== undefined) expect(Number.isSafeInteger(value) && value >= 0, `${field} ${value}`).toBe(true)
    }
    for (const name of Object.keys(decoded.headers)) expect(isOwnHeader(name)).toBe(false)
    for (const failure of decoded.history) expect(failure.attempt).toBeTypeOf('number')
    expectNoPollution(decoded.headers)
  },
)
