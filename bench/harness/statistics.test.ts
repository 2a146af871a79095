import { expect, test } from 'vitest'
import { intervalOf, spreadOf, verdictOf } from './statistics.ts'

test('the spread of odd and even counts', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
  expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 })
})

test('the interval of paired ratios is as the textbook has it', () => {
  // Logs 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, t(2) 4.303.
  const { ratio, low, high } = intervalOf([0.1, 0.2, 0.3].map(Math.exp))
  expect(Math.log(ratio)).toBeCloseTo(0.2)
  expect(Math.log(high) - 0.2).toBeCloseTo((4.303 * 0.1) / Math.sqrt(3))
  expect(0.2 - Math.log(low)).toBeCloseTo((4.303 * 0.1) / Math.sqrt(3))
})

test('one pair decides nothing', () => {
  expect(verdictOf(intervalOf([0.5]), { atMost: 1 })).toBe('undecided')
})

test.each([
  [[0.8, 0.81, 0.79, 0.8], { atMost: 1 }, 'yes'],
  [[1.2, 1.21, 1.19, 1.2], { atMost: 1 }, 'no'],
  [[0.7, 1.4, 0.8, 1.3], { atMost: 1 }, 'undecided'],
  [[1.2, 1.21, 1.19, 1.2], { atLeast: 1 }, 'yes'],
  [[0.8, 0.81, 0.79, 0.8], { atLeast: 1 }, 'no'],
] as const)('%j against %j: %s', (ratios, bound, verdict) => {
  expect(verdictOf(intervalOf(ratios), bound)).toBe(verdict)
})
