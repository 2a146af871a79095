import { describe, expect, test } from 'vitest'
import type { Filter } from '../face/messages.ts'
import { compileFilter, type Filterable } from './index.ts'

const message: Filterable = {
  id: '018f',
  topic: 'orders',
  key: '42',
  tag: 'paid',
  headers: { price: '11', region: 'eu', express: 'true', code: '007', big: '9007199254740993', key: 'header' },
  priority: 4,
  sentAt: 1_700_000_000_000,
}
const bare: Filterable = {
  id: '1',
  topic: 't',
  key: undefined,
  tag: undefined,
  headers: {},
  priority: undefined,
  sentAt: undefined,
}
const passes = (filter: Filter, of = message) => compileFilter(filter)(of)

describe('sql', () => {
  test.each([
    ["price > 10 AND region IN ('eu', 'us')", true],
    ['price > 9', true],
    ["price > '9'", false],
    ['code = 7', true],
    ["code = '7'", false],
    ["code = '007'", true],
    ['region > 5', false],
    ['NOT region > 5', false],
    ['NOT missing = 5', false],
    ["missing <> 'x'", false],
    ['missing IS NULL', true],
    ['region + 0 IS NULL', true],
    ['price + 0 IS NOT NULL', true],
    ['express', true],
    ['express = TRUE', true],
    ['express <> FALSE', true],
    ['NOT region', false],
    ['key = 42 AND "key" = \'header\'', true],
    ["tag = 'paid' AND id = '018f' AND topic = 'orders'", true],
    ['priority BETWEEN 4 AND 9 AND sentAt > 1.6e12', true],
    ['price / 2 = 5.5', true],
    ['price / 0 = 1 OR NOT price / 0 = 1', false],
    ['price / 0 IS NULL', true],
    ['1e308 * 10 * price IS NULL', true],
    ['-price = -11 AND +price = 11', true],
    ['2 + 3 * 4 = 14 AND 10 - 4 - 3 = 3 AND 8 / 2 / 2 = 2', true],
    ["big = '9007199254740993'", true],
    ['missing > 1 OR TRUE', true],
    ['missing > 1 AND FALSE', false],
    ['constructor IS NULL AND toString IS NULL AND __proto__ IS NULL', true],
    ['5 BETWEEN missing AND 1', false],
    ['NOT 5 BETWEEN missing AND 1', true],
  ])('%s: %s', (sql, wanted) => expect(passes({ sql })).toBe(wanted))

  test('own fields that a message does not have are unknown', () => {
    for (const name of ['key', 'tag', 'priority', 'sentAt']) expect(passes({ sql: `${name} IS NULL` }, bare)).toBe(true)
    expect(passes({ sql: 'priority = 0 OR NOT priority = 0' }, bare)).toBe(false)
  })

  test('headers without a prototype, and values that are no strings', () => {
    const headers = Object.assign(Object.create(null), { __proto__: 'x', n: 5 })
    Object.defineProperty(headers, '__proto__', { value: 'x', enumerable: true })
    expect(passes({ sql: "__proto__ = 'x' AND n IS NULL" }, { ...bare, headers })).toBe(true)
  })
})

describe('tag', () => {
  test.each([
    ['paid', true],
    [' paid ', true],
    ['Paid', false],
    ['open||paid', true],
    ['open || shipped', false],
    ['*', true],
  ])('%j: %s', (tag, wanted) => expect(passes({ tag })).toBe(wanted))

  test('a message without a tag passes * alone', () => {
    expect(passes({ tag: '*' }, bare)).toBe(true)
    expect(passes({ tag: 'undefined' }, bare)).toBe(false)
    expect(passes({ tag: 'a || undefined' }, bare)).toBe(false)
  })

  test.each(['', ' ', '||', 'a ||', 'a || || b', 'a | b', 'a || *', `${'a||'.repeat(5_000)}a`])('refuses %j', (tag) =>
    expect(() => compileFilter({ tag })).toThrow(/^filter\.tag: /),
  )
})

describe('headers', () => {
  test('all that are named must be equal as texts', () => {
    expect(passes({ headers: { region: 'eu' } })).toBe(true)
    expect(passes({ headers: { region: 'eu', price: '11' } })).toBe(true)
    expect(passes({ headers: { region: 'eu', price: '11.0' } })).toBe(false)
    expect(passes({ headers: { region: 'eu', missing: '' } })).toBe(false)
  })

  test.each([
    {},
    { a: undefined },
    { a: 'x', b: undefined },
    { a: 1 as unknown as string },
    { a: null as unknown as string },
  ])('refuses %j', (headers) => expect(() => compileFilter({ headers })).toThrow(/^filter\.headers: /))
})

test.each([
  undefined,
  null,
  'paid',
  5,
  [],
  {},
  { tag: 5 },
  { sql: undefined },
  { headers: ['a'] },
  { headers: null },
  { tags: 'a' },
  { tag: 'a', sql: 'b' },
])('refuses %j as a filter, saying what one is', (filter) =>
  expect(() => compileFilter(filter as unknown as Filter)).toThrow(/^filter: exactly one of/),
)
