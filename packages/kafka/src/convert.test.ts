import type { Dispatch } from '@posthorn/core/driver'
import { plainMessage } from '@posthorn/testkit'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { visibility } from './clients/aborted.ts'
import type { StoredRecord } from './clients/port.ts'
import { arrivalOf, parsePosition, positionOf, recordOf } from './convert.ts'

const now = 1_800_000_000_000
const message: Dispatch = plainMessage({ id: 'id-1', topic: 'orders', sentAt: now })
const place = { topic: 'orders', kafkaTopic: 'ns.orders', partition: 3 }
const stored = (given: Dispatch, key?: string): StoredRecord => {
  const record = recordOf(given, now, key)
  return { ...record, headers: Object.entries(record.headers).flat(), offset: 7 }
}
/** The fields of a message, without what only a delivery has. */
const fields = (arrival: object): object =>
  Object.fromEntries(Object.keys(message).map((name) => [name, (arrival as Record<string, unknown>)[name]]))

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((each) => each.isWellFormed())
const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined })

test('every field comes back, whatever it is and wherever the key lies', () => {
  const some = fc.record({
    key: maybe(text),
    tag: maybe(text),
    headers: fc.dictionary(
      text.filter((name) => !name.startsWith('ph-') && name !== 'content-type'),
      text,
      {
        noNullPrototype: false,
      },
    ),
    body: fc.uint8Array({ maxLength: 40 }),
    contentType: maybe(text),
    sentAt: maybe(fc.integer({ min: now - 100_000, max: now + 100 })),
    expiresAt: maybe(fc.nat()),
    priority: maybe(fc.nat(9)),
    version: maybe(fc.nat()),
    generation: fc.nat(9),
    failures: fc.nat(9),
    lone: fc.nat(3),
    replyTo: maybe(text),
    correlationId: maybe(text),
  })
  fc.assert(
    fc.property(some, fc.boolean(), (given, ownKey) => {
      const whole = { ...message, ...given }
      const arrival = arrivalOf(stored(whole, ownKey ? '0:id-1' : undefined), place, undefined, ownKey)
      expect({ ...fields(arrival), headers: { ...arrival.headers } }).toEqual({
        ...whole,
        headers: { ...whole.headers },
      })
      expect(arrival.foreign).toBe(false)
    }),
    { seed: 1 },
  )
})

test('the usual message needs no header for its key and its time', () => {
  const record = recordOf({ ...message, key: 'k' }, now + 3)
  expect(Object.keys(record.headers)).toEqual(['ph-id'])
  expect(record.timestamp).toBe(now)
  expect(Buffer.from(record.key ?? []).toString()).toBe('k')
})

test('an old message that is sent again gets today’s timestamp, or retention would take it at once', () => {
  const record = recordOf({ ...message, sentAt: now - 9 * 86_400_000 }, now)
  expect(record.timestamp).toBe(now)
  expect(record.headers['ph-sent']).toBe(String(now - 9 * 86_400_000))
})

test('a stranger’s message has an id that is the same at each delivery', () => {
  const foreign: StoredRecord = { key: Buffer.from('k'), value: null, headers: [], timestamp: now, offset: 9 }
  const [one, two] = [arrivalOf(foreign, place), arrivalOf(foreign, place)]
  expect(one).toMatchObject({ foreign: true, key: 'k', sentAt: now, position: '3:9' })
  expect(one.body.length).toBe(0)
  expect(one.id).toBe(two.id)
})

test('positions are read back, others are not positions', () => {
  expect(parsePosition(positionOf(place, 42))).toEqual({ partition: 3, offset: 42 })
  for (const other of ['', '3', '3:', ':4', '3:4:5', '-1:4', 'latest']) expect(parsePosition(other)).toBeUndefined()
})

test('what a transaction that was undone wrote does not count, what others wrote between does', () => {
  const counts = visibility([{ producer: 'p', first: 10 }])
  expect(counts(9, 'p', true, false)).toBe(true)
  expect(counts(10, 'p', true, false)).toBe(false)
  expect(counts(11, 'q', true, false)).toBe(true)
  expect(counts(12, 'p', false, false)).toBe(true)
  expect(counts(13, 'p', true, true)).toBe(false)
  expect(counts(14, 'p', true, false)).toBe(true)
})
