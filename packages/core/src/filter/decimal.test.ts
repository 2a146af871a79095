import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decimal } from './decimal.ts'

describe('decimal', () => {
  test.each([
    '0',
    '7',
    '007',
    '+7',
    '-7',
    '7.',
    '.5',
    '-.5',
    '1.50',
    '1e3',
    '1E+3',
    '25e-1',
    '9007199254740993',
    '999999999999999',
  ])('reads %j as JavaScript does', (text) => expect(decimal(text)).toBe(Number(text)))

  test.each([
    '',
    ' ',
    ' 1',
    '1 ',
    '+',
    '-',
    '.',
    'e3',
    '1e',
    '1e+',
    '--1',
    '0x10',
    '0b1',
    '1_000',
    '1,5',
    'NaN',
    'Infinity',
    '1e999',
    '१',
    '１',
    '1n',
    '1\n',
    '1\0',
    'a',
    '1'.repeat(65),
  ])('takes %j for no number', (text) => expect(decimal(text)).toBeNull())

  test('every number comes back from each way to write it', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        expect(decimal(String(number))).toBe(Object.is(number, -0) ? 0 : number)
        expect(decimal(number.toExponential())).toBe(Number(number.toExponential()))
      }),
      { seed: 1, numRuns: 2_000 },
    )
    fc.assert(
      fc.property(fc.maxSafeInteger(), (number) => {
        expect(decimal(String(number))).toBe(number)
      }),
      { seed: 1, numRuns: 2_000 },
    )
  })
})
