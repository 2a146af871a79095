import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shareOf } from './share.ts'

const members = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 12 })
const lanes = fc.integer({ min: 1, max: 64 })

describe('who holds which lanes', () => {
  it('gives each lane to one member and nobody more than their share', () => {
    fc.assert(
      fc.property(members, lanes, (all, count) => {
        const shares = all.map((each) => shareOf(each, all, count))
        const given = shares.flatMap((share) => [...share])
        expect(given.length).toBe(count)
        expect(new Set(given).size).toBe(count)
        for (const share of shares) {
          expect(share.size).toBeLessThanOrEqual(Math.ceil(count / all.length))
          expect(share.size).toBeGreaterThanOrEqual(Math.floor(count / all.length))
        }
      }),
      { seed: 8 },
    )
  })

  it('does not depend on the order in which members are known, nor on whether one knows itself', () => {
    fc.assert(
      fc.property(members, lanes, (all, count) => {
        const me = all[0] as string
        expect(shareOf(me, all.slice(1).reverse(), count)).toEqual(shareOf(me, all, count))
      }),
      { seed: 9 },
    )
  })

  it('leaves most lanes where they are when somebody joins', () => {
    const before = ['a', 'b', 'c']
    const after = [...before, 'd']
    const owner = (all: string[], lane: number) => all.find((each) => shareOf(each, all, 64).has(lane))
    const moved = Array.from({ length: 64 }, (_, lane) => lane).filter(
      (lane) => owner(before, lane) !== owner(after, lane),
    )
    expect(moved.length).toBeLessThan(32)
  })
})
