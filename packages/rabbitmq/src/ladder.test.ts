import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { descentOf, firstLevel, lastLevel, levelHeader, longestDelayMs } from './ladder.ts'

const year = 366 * 86_400_000
const waited = (headers: Readonly<Record<string, true>>): number => {
  let total = 0
  for (let level = firstLevel; level <= lastLevel; level++) if (headers[levelHeader(level)]) total += 2 ** level
  return total
}

describe('the delay ladder', () => {
  it('reaches more than a year', () => {
    expect(longestDelayMs).toBeGreaterThan(year)
    expect(descentOf(longestDelayMs)?.entry).toBe(lastLevel)
  })

  it('never sends a message down too early, nor half a second too late', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: longestDelayMs }), (delayMs) => {
        const descent = descentOf(delayMs)
        if (descent === undefined) throw new Error('it must wait')
        const total = waited(descent.headers)
        // Each hop may cut up to one ms off.
        expect(total - Object.keys(descent.headers).length).toBeGreaterThanOrEqual(delayMs)
        expect(total - delayMs).toBeLessThanOrEqual(512 + 29)
        expect(descent.headers[levelHeader(descent.entry)]).toBe(true)
        expect(Object.keys(descent.headers).every((name) => Number(name.slice(3)) <= descent.entry)).toBe(true)
      }),
      { seed: 7, numRuns: 2_000 },
    )
  })

  it('has nothing to do for what is due', () => {
    expect(descentOf(0)).toBeUndefined()
    expect(descentOf(-5)).toBeUndefined()
  })
})
