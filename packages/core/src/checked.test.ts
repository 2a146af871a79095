import { expect, test } from 'vitest'
import {
  checkOptions,
  date,
  flag,
  listOf,
  ms,
  nearest,
  oneOf,
  ownName,
  plainName,
  show,
  text,
  whole,
} from './checked.ts'

test('options: unknown names are refused with the nearest, wrong values with what to give', () => {
  const shape = { timeoutMs: ms(1), name: plainName, mode: oneOf('shared', 'broadcast'), on: flag }
  const check = (options: unknown) => (): void => checkOptions('call()', options, shape)
  for (const right of [undefined, {}, { timeoutMs: 5, name: 'x', mode: undefined, on: true }])
    expect(check(right)).not.toThrow()
  expect(check({ timeout: 5 })).toThrow('call(): there is no option "timeout"; did you mean timeoutMs?')
  expect(check({ Mode: 'shared' })).toThrow('did you mean mode?')
  expect(check({ colour: 1 })).toThrow('there is no option "colour"; there are timeoutMs, name, mode, on')
  expect(check({ toString: 1 })).toThrow('there is no option "toString"')
  expect(check({ timeoutMs: 0 })).toThrow(`call(): timeoutMs is 0; give ms from 1 to 316224000000`)
  expect(check({ mode: 'share' })).toThrow("mode is \"share\"; give 'shared' or 'broadcast' (did you mean 'shared'?)")
  for (const wrong of [null, 5, 'x', []]) expect(check(wrong)).toThrow(/its options are .*; give an object/)
  expect(() => checkOptions('call()', { x: 1 }, {})).toThrow('it takes none')
})

test('numbers: NaN, fractions, negatives and what is too large are refused', () => {
  const absurd = [Number.NaN, -1, 1.5, 2 ** 53, Infinity, '5', null, true, 5n]
  for (const value of absurd) expect(whole(0, 100)(value)).toBe('a whole number from 0 to 100')
  for (const value of [0, 100]) expect(whole(0, 100)(value)).toBeUndefined()
  for (const value of [Number.NaN, -1, Infinity, '5', null]) expect(ms()(value)).toMatch(/^ms from 0 to/)
  expect(ms()(0.5)).toBeUndefined()
})

test('names: no control characters, wildcards, half surrogates, blanks around; at most 200 characters; ~ is ours', () => {
  for (const right of ['orders', 'shop.orders-v2', 'Bestellungen für morgen', '订单', 'x'.repeat(200)])
    expect(plainName(right)).toBeUndefined()
  for (const wrong of [
    '',
    ' x',
    'x ',
    'a\nb',
    'a\0b',
    'a\u2028b',
    '\ud800',
    'a*',
    'a.#',
    '~x',
    'x'.repeat(201),
    'x'.repeat(10_000),
    5,
    undefined,
  ])
    expect(plainName(wrong)).toBeTypeOf('string')
  expect(ownName('~reply')).toBeUndefined()
})

test('other rules', () => {
  expect(text(3)('abc')).toBeUndefined()
  expect(text(3)('abcd')).toBe('text of 1 to 3 characters')
  expect(text(3, 0)('')).toBeUndefined()
  expect(date(new Date(Number.NaN))).toBe('a Date that is a time')
  expect(listOf(flag)([true, 1])).toBe('a list whose item 1 is true or false')
  expect(listOf(flag)([true, undefined])).toBe('a list whose item 1 is something there')
})

test('what is shown of a value is short, on one line, and no URL with its password', () => {
  expect(show('amqp://user:secret@host')).toBe('a URL')
  expect(show('x'.repeat(50))).toBe(`"${'x'.repeat(40)}…"`)
  expect(show('a\nb')).toBe('"a\\nb"')
  expect([undefined, null, [], {}, () => 1, Symbol('x'), 5n, new Date(0), new Date(Number.NaN)].map(show)).toEqual([
    'undefined',
    'null',
    'an array',
    'an object',
    'a function',
    'a symbol',
    '5n',
    'a Date',
    'an invalid Date',
  ])
})

test('the nearest name is near', () => {
  expect(nearest('delay', ['delayMs', 'tag'])).toBe('delayMs')
  expect(nearest('prioritiy', ['priority', 'partition'])).toBe('priority')
  expect(nearest('burts', ['perSecond', 'burst'])).toBe('burst')
  expect(nearest('timeout', ['namespace', 'connectTimeoutMs'])).toBe('connectTimeoutMs')
  expect(nearest('timeoutMs', ['maxBytes', 'sendTimeoutMs'])).toBe('sendTimeoutMs')
  expect(nearest('delayMs', ['periodMs', 'tag'])).toBeUndefined()
  expect(nearest('zzz', ['priority', 'partition'])).toBeUndefined()
  expect(nearest('x'.repeat(100_000), ['priority'])).toBeUndefined()
})
