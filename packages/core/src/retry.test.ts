import { expect, test } from 'vitest'
import { retry } from './retry.ts'

test('what is wrong is refused by its name', () => {
  for (const attempts of [0, -1, 1.5, Number.NaN, 2 ** 53]) expect(() => retry({ attempts })).toThrow(/attempts/)
  expect(() => retry(undefined as never)).toThrow(/attempts/)
  expect(() => retry({ attempts: 3, backoff: 5 as never })).toThrow(/backoff/)
  expect(() => retry({ attempts: 3, bakoff: () => 5 } as never)).toThrow(/bakoff/)
})
