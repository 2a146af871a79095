import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isPattern, matches, pattern } from './pattern.ts'
import { topic, topicParts } from './topic.ts'

test('a pattern takes whole words', () => {
  const cases: [string, string, boolean][] = [
    ['orders.*', 'orders.created', true],
    ['orders.*', 'orders', false],
    ['orders.*', 'orders.a.b', false],
    ['*.created', 'orders.created', true],
    ['orders.#', 'orders', true],
    ['orders.#', 'orders.a', true],
    ['orders.#', 'orders.a.b', true],
    ['orders.#', 'ordersx', false],
    ['#', 'anything.at.all', true],
    ['#', '~reply.x', false],
    ['*', 'a', true],
    ['*', 'a.b', false],
    ['a.*.c.#', 'a.b.c', true],
    ['a.*.c.#', 'a.b.d', false],
    ['exact', 'exact', true],
    ['ORDERS', 'orders', false],
    ['a.b', 'a.b', true],
    ['a(b)+', 'a(b)+', true],
  ]
  for (const [wanted, name, yes] of cases)
    expect([wanted, name, matches(pattern(wanted).pattern, name)]).toEqual([wanted, name, yes])
  for (const wrong of ['', 'a*', 'a.#.b', '#a', '~x', 'a\n', 5])
    expect(() => pattern(wrong as string)).toThrow(/^pattern\(\): it is /)
})

test('a pattern made of a topic name by putting wildcards in takes that name', () => {
  const word = fc.stringMatching(/^[a-z0-9_-]{1,5}$/)
  const words = fc.array(word, { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(words, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), fc.nat(5), (name, stars, cut) => {
      const starred = name.map((each, n) => (stars[n] ? '*' : each))
      expect(matches(starred.join('.'), name.join('.'))).toBe(true)
      expect(matches([...starred.slice(0, cut), '#'].join('.'), name.join('.'))).toBe(true)
      expect(matches([...starred, 'more'].join('.'), name.join('.'))).toBe(false)
      expect(matches([...starred, '*', '#'].join('.'), name.join('.'))).toBe(false)
    }),
    { seed: 7, numRuns: 300 },
  )
})

test('topics and patterns are told apart, and nothing else passes for either', () => {
  expect([isPattern(pattern('a.*')), isPattern(topic('a'))]).toEqual([true, false])
  for (const wrong of [undefined, null, 'a', {}, { name: 'a' }]) {
    expect(() => isPattern(wrong as never)).toThrow('is no topic and no pattern')
    expect(() => topicParts(wrong as never)).toThrow('is no topic; make one by topic(')
  }
  expect(() => topicParts(pattern('a.*') as never)).toThrow('is no topic')
})
