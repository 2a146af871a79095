import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareText } from './text-order.ts'

test('texts are ordered as their bytes in UTF-8', () => {
  const unit = fc.constantFrom('a', 'b', '\uE000', '\uFFFF', '\uD7FF', '\u{10000}', '\u{10FFFF}', '\u{1F600}')
  const text = fc.array(unit, { maxLength: 4 }).map((units) => units.join(''))
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
    { seed: 1, numRuns: 5_000 },
  )
})

test('JavaScript would order these the other way round', () => {
  expect('\u{1F600}' < '\uFFFF').toBe(true)
  expect(compareText('\u{1F600}', '\uFFFF')).toBeGreaterThan(0)
})
