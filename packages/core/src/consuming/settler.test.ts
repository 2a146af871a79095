import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Settled, Settlement } from '../driver/seam.ts'
import { settler } from './settler.ts'

const ack = (token: number): Settlement => ({ token, verdict: 'ack' })

describe('settler', () => {
  it('makes one batch of what a turn settles, and answers each by its own result', async () => {
    const batches: Settlement[][] = []
    const answers = new Map<number, Settled>()
    const settle = async (batch: readonly Settlement[]): Promise<readonly Settled[]> => {
      batches.push([...batch])
      return batch.map(({ token }) => ((token as number) % 2 === 0 ? 'ok' : 'stale'))
    }
    const all = settler<number>({ settle }, (n, settled) => answers.set(n, settled))
    for (let n = 0; n < 10; n++) void Promise.resolve().then(() => all.settle(ack(n), n))
    await Promise.resolve()
    await new Promise(setImmediate)
    expect(batches.map((each) => each.length)).toEqual([10])
    expect([...answers].filter(([, settled]) => settled === 'ok').map(([n]) => n)).toEqual([0, 2, 4, 6, 8])
  })

  it('has one batch under way at a time, answers all, and calls what the source throws unknown', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ burst: fc.integer({ min: 1, max: 5 }), turns: fc.nat(3), fails: fc.boolean() }), {
          minLength: 1,
          maxLength: 12,
        }),
        async (steps) => {
          let underWay = 0
          let calls = 0
          const settle = async (batch: readonly Settlement[]): Promise<readonly Settled[]> => {
            expect(++underWay).toBe(1)
            const { turns = 0, fails = false } = steps[calls++ % steps.length] ?? {}
            for (let n = 0; n < turns; n++) await new Promise(setImmediate)
            underWay--
            if (fails) throw new Error('gone')
            return batch.map(() => 'ok' as const)
          }
          let token = 0
          const answers: Settled[] = []
          const all = settler<number>({ settle }, (_, settled) => answers.push(settled))
          for (const { burst } of steps) {
            for (let n = 0; n < burst; n++) all.settle(ack(token), token++)
            await new Promise(setImmediate)
          }
          await all.idle()
          expect(answers.length).toBe(token)
          if (steps.every(({ fails }) => !fails)) expect(answers.every((each) => each === 'ok')).toBe(true)
          if (steps.every(({ fails }) => fails)) expect(answers.every((each) => each === 'unknown')).toBe(true)
        },
      ),
      { seed: 2, numRuns: 100 },
    )
  })
})
