import fc from 'fast-check'
import { expect, test } from 'vitest'
import { escapeFault, like } from './like.ts'

test.each([
  ['a', 'a', true],
  ['a', 'A', false],
  ['a', 'ab', false],
  ['', '', true],
  ['', 'a', false],
  ['%', '', true],
  ['%%', 'anything\nat all', true],
  ['a%', 'a', true],
  ['a%b', 'ab', true],
  ['a%a', 'a', false],
  ['ab%ba', 'aba', false],
  ['%ab%ab%', 'xabyabz', true],
  ['%ab%ab%', 'xaby', false],
  ['_', 'a', true],
  ['_', '', false],
  ['_', '\u{1F600}', true],
  ['__', '\u{1F600}', false],
  ['%_', '\u{1F600}', true],
  ['%\u{1F600}_', 'a\u{1F600}\u{1F601}', true],
  ['_%_', 'a', false],
  ['%_a%_b', 'xaxb', true],
  ['%_a%_b', 'xab', false],
  ['.*', 'ab', false],
  ['\\%', '\\x', true],
])('%j LIKE %j is %s: %s', (pattern, text, wanted) => expect(like(pattern, undefined)(text)).toBe(wanted))

test.each([
  ['a!%', '!', 'a%', true],
  ['a!%', '!', 'ab', false],
  ['!!!_', '!', '!_', true],
  ['100%%%', '%', '100%x', false],
  ['100%%', '%', '100%', true],
  ['\u{1F600}%', '\u{1F600}', '%', true],
])('%j ESCAPE %j on %j is %s', (pattern, by, text, wanted) => expect(like(pattern, by)(text)).toBe(wanted))

test.each([
  ['a!', '!', true],
  ['!a', '!', true],
  ['!!', '!', false],
  ['!!!', '!', true],
  ['a!%b!_', '!', false],
])('a fault in %j by %j: %s', (pattern, by, wanted) => expect(escapeFault(pattern, by) !== undefined).toBe(wanted))

/** The definition, letter by letter; exponential, so for short texts alone. */
function slow(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return text.length === 0
  if (first === '%') return slow(rest, text) || (text.length > 0 && slow(pattern, text.slice(1)))
  return text.length > 0 && (first === '_' || first === text[0]) && slow(rest, text.slice(1))
}

test('agrees with the definition', () => {
  const pattern = fc.array(fc.constantFrom('%', '_', 'a', 'b', '\u{1F600}'), { maxLength: 7 })
  const text = fc.array(fc.constantFrom('a', 'b', '\u{1F600}'), { maxLength: 7 })
  fc.assert(
    fc.property(pattern, text, (p, t) => {
      expect(like(p.join(''), undefined)(t.join(''))).toBe(slow(p, t))
    }),
    { seed: 1, numRuns: 20_000 },
  )
})

test('a pattern that makes a backtracking matcher hang is decided at once', () => {
  expect(like(`${'%a'.repeat(2_000)}%b`, undefined)('a'.repeat(100_000))).toBe(false)
  expect(like(`%${'_a'.repeat(100)}b%`, undefined)('a'.repeat(10_000))).toBe(false)
})
