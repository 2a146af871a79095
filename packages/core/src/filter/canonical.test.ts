import { describe, expect, test } from 'vitest'
import type { Filter } from '../face/messages.ts'
import { canonicalFilter } from './canonical.ts'
import { compileFilter, type Filterable } from './index.ts'

const text = (filter: Filter): string => JSON.stringify(canonicalFilter(filter))

describe('filters that are written differently and mean the same have one form', () => {
  test.each<[Filter, Filter]>([
    [{ headers: { region: 'eu', tier: 'gold' } }, { headers: { tier: 'gold', region: 'eu' } }],
    [{ tag: 'a || b' }, { tag: 'b||a || b' }],
    [{ tag: ' * ' }, { tag: '*' }],
    [{ sql: 'price>10' }, { sql: '  price\n > 10 ' }],
    [{ sql: "region in('eu','us') and not(a=1)" }, { sql: "region IN ('eu', 'us') AND NOT (a = 1)" }],
    [{ sql: "it = 'o''clock  now' AND true" }, { sql: "it = 'o''clock  now' AND TRUE" }],
  ])('%j and %j', (a, b) => expect(text(a)).toBe(text(b)))
})

describe('filters that mean something else have another', () => {
  test.each<[Filter, Filter]>([
    [{ headers: { a: '1', b: '2' } }, { headers: { a: '2', b: '1' } }],
    [{ tag: 'a' }, { tag: 'A' }],
    [{ sql: "a = 'x y'" }, { sql: "a = 'x  y'" }],
    [{ sql: 'region = 1' }, { sql: 'Region = 1' }],
    [{ sql: '"key" = \'1\'' }, { sql: "key = '1'" }],
    [{ sql: '"AND" = \'1\'' }, { sql: '"and" = \'1\'' }],
    [{ sql: "a = 'b'''" }, { sql: "a = 'b'" }],
  ])('%j and %j', (a, b) => expect(text(a)).not.toBe(text(b)))
})

test('the form means what was written, is its own form, and is as a person would write it', () => {
  const message: Filterable = {
    id: '1',
    topic: 't',
    key: '42',
    tag: undefined,
    headers: { price: '11', 'un-it': `a"b'c`, region: 'eu' },
    priority: 4,
    sentAt: undefined,
  }
  const written = `(price+1)*2>=24 and-price<- 10 and"un-it"='a"b''c'and region in('eu','us')or price between.5 and 1e3`
  const form = canonicalFilter({ sql: written }) as { readonly sql: string }
  expect(form.sql).toBe(
    `(price + 1) * 2 >= 24 AND - price < - 10 AND "un-it" = 'a"b''c' AND region IN ('eu', 'us') OR price BETWEEN .5 AND 1e3`,
  )
  expect(canonicalFilter(form)).toEqual(form)
  expect(compileFilter({ sql: written })(message)).toBe(true)
  expect(compileFilter(form)(message)).toBe(true)
})

test('one that cannot be read has none', () => {
  expect(() => canonicalFilter({ sql: 'price >' })).toThrow(/filter\.sql: expected a name/)
  expect(() => canonicalFilter({ tag: '' })).toThrow(/a tag is empty/)
  expect(() => canonicalFilter({ headers: {} })).toThrow(/names no header/)
})
