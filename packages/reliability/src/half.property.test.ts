import { isMessagingError, topic } from '@posthorn/core'
import { pause, systemClock } from '@posthorn/core/driver'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { immunityMs } from './half.ts'
import { cases } from './mortal.ts'
import { rig } from './rig.ts'

const { fast, timeout } = cases()
const paid = topic<{ n: number }>('paid', { groups: ['g'] })

const one = fc.record({
  /** What its local transaction comes to; undecided where the sender vanishes before it. */
  outcome: fc.constantFrom('commit' as const, 'rollback' as const, undefined),
  vanishes: fc.boolean(),
  workMs: fc.integer({ min: 0, max: 3 * immunityMs }),
  gapMs: fc.nat(immunityMs),
})

it('half messages: committed is visible once, rolled back never, undecided a letter, whoever vanishes when', {
  timeout,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 6 }), async (plan) => {
      const { broker, clock, another } = await rig()
      const sender = await another()
      const seen: number[] = []
      await broker.consume(paid, { group: 'g' }, async ({ body }) => void seen.push(body.n))
      /** The table of the business: what the local transactions came to. */
      const table = new Map<number, 'commit' | 'rollback'>()
      for (const each of [broker, sender])
        each.checkHalf(paid, async ({ body }) => table.get((body as { n: number }).n) ?? 'unknown')
      const wait = (ms: number): Promise<void> =>
        new Promise((resolve) => void timers.push({ at: clock.now() + ms, resolve }))
      const timers: { readonly at: number; readonly resolve: () => void }[] = []
      const pass = async (ms: number): Promise<void> => {
        for (const end = clock.now() + ms; clock.now() < end; ) {
          await clock.advance(Math.min(5_000, end - clock.now()))
          for (const timer of timers.splice(0)) timer.at <= clock.now() ? timer.resolve() : timers.push(timer)
        }
      }
      const told: Promise<unknown>[] = []
      for (const [n, { outcome, vanishes, workMs, gapMs }] of plan.entries()) {
        const sending = sender.producer().sendHalf(paid, { n }, async () => {
          await wait(workMs)
          if (outcome !== undefined) table.set(n, outcome)
          if (vanishes || outcome === undefined) return new Promise<never>(() => {})
          if (outcome === 'rollback') throw new Error('no money')
          return undefined
        })
        // A sender that is told `stale` learns that the check has spoken: that is no other outcome than its own table's.
        const quiet = sending.catch((error: unknown) => {
          if (!(isMessagingError(error) || (error as Error).message === 'no money')) throw error
        })
        if (!vanishes && outcome !== undefined) told.push(quiet)
        await pass(gapMs)
      }
      await pass(25 * immunityMs)
      await Promise.race([
        Promise.all(told),
        pause(systemClock, 5_000, new AbortController().signal).then(() => expect('told').toBe('never')),
      ])
      const letters: (number | undefined)[] = []
      for await (const letter of broker.deadLetters(paid).list()) letters.push(letter.body?.n)
      const those = (which: 'commit' | undefined): number[] =>
        plan.flatMap(({ outcome }, n) => (outcome === which ? [n] : []))
      expect(seen.sort((a, b) => a - b)).toEqual(those('commit'))
      expect(letters.sort()).toEqual(those(undefined))
      await broker.close()
    }),
    { ...fast, numRuns: fast.numRuns },
  )
})
