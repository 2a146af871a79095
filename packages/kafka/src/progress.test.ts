import fc from 'fast-check'
import { expect, test } from 'vitest'
import { beginning, noteOf, type Progress, progressOf } from './progress.ts'

const progress: fc.Arbitrary<Progress> = fc.record({
  offset: fc.nat(),
  starts: fc.nat(999),
  alone: fc.option(fc.record({ offset: fc.nat(), starts: fc.nat(9) }), { nil: undefined }),
  ahead: fc.constant([]),
  tries: fc.array(
    fc.record({
      offset: fc.nat(),
      failures: fc.nat(9),
      history: fc.array(fc.record({ attempt: fc.nat(9), at: fc.nat(), error: fc.string({ maxLength: 20 }) }), {
        maxLength: 2,
      }),
    }),
    { maxLength: 3 },
  ),
  transactional: fc.boolean(),
  agreed: fc.string({ maxLength: 60 }),
})

/** A few, or so many that a bit for each is shorter than their runs. */
const above = fc.oneof(
  fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { maxLength: 100 }),
  fc.uniqueArray(fc.integer({ min: 1, max: 3_000 }), { minLength: 300, maxLength: 600 }),
)

test('what is noted is read again', () => {
  fc.assert(
    fc.property(progress, above, (given, above) => {
      const whole = { ...given, ahead: above.sort((a, b) => a - b).map((n) => given.offset + n) }
      const metadata = noteOf(whole)
      expect(metadata).toBeDefined()
      expect(progressOf({ offset: whole.offset, metadata: metadata ?? '' })).toEqual(whole)
    }),
    { seed: 1 },
  )
})

test('a note stays below what a broker keeps: texts of failures go first, then the tries', () => {
  const long = { attempt: 1, at: 1, error: 'x'.repeat(5_000) }
  const given = { ...beginning(7), tries: [{ offset: 7, failures: 3, history: [long] }] }
  const note = noteOf(given) ?? ''
  expect(note.length).toBeLessThan(4_096)
  expect(progressOf({ offset: 7, metadata: note }).tries).toEqual([{ offset: 7, failures: 3, history: [] }])
})

test('too many finished ones have no note at all', () => {
  const everyOther = (count: number) => Array.from({ length: count }, (_, n) => 2 * n + 2)
  expect(noteOf({ ...beginning(0), ahead: everyOther(11_000) })).toBeDefined()
  expect(noteOf({ ...beginning(0), ahead: everyOther(12_000) })).toBeUndefined()
})

test.each(['', 'theirs', 'ph2', 'ph2 x - -  ', 'ph2 1 - -  [', 'ph3 1 - -  '])(
  'a note that is not ours, %j, is a first start',
  (metadata) => {
    expect(progressOf({ offset: 3, metadata })).toEqual(beginning(3))
  },
)
