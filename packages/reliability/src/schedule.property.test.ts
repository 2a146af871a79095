import { topic } from '@posthorn/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cases } from './mortal.ts'
import { rig } from './rig.ts'

const { fast, timeout } = cases()
const work = topic<{ n: number }>('work', { groups: ['g'] })

const n = fc.nat(4)
const step = fc.oneof(
  fc.record({ do: fc.constant('send' as const), n, ms: fc.integer({ min: 1, max: 20_000 }) }),
  fc.record({ do: fc.constant('cancel' as const), n, ms: fc.constant(0) }),
  fc.record({ do: fc.constant('cancel twice' as const), n, ms: fc.constant(0) }),
  fc.record({ do: fc.constant('reschedule' as const), n, ms: fc.integer({ min: 1, max: 20_000 }) }),
  fc.record({ do: fc.constant('wait' as const), n, ms: fc.nat(10_000) }),
)

it.each([true, false])(
  'cancel and reschedule, store apart: %s: cancelled is never delivered, one canceller wins, nothing is early or twice',
  { timeout },
  async (apart) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
        const { broker, clock, another } = await rig({ apart })
        const second = await another()
        const seen: { readonly n: number; readonly at: number }[] = []
        await broker.consume(work, { group: 'g' }, async ({ body }) => void seen.push({ n: body.n, at: clock.now() }))
        const due = new Map<number, number>()
        const cancelled = new Set<number>()
        const handled = (id: number): boolean => seen.some((each) => each.n === id)
        const answered = (id: number, answer: string): void => {
          if (answer === 'cancelled') {
            expect(cancelled.has(id)).toBe(false)
            expect(handled(id)).toBe(false)
            cancelled.add(id)
          }
          if (!due.has(id)) expect(answer).toBe('unknown')
          else if (answer === 'unknown') expect(cancelled.has(id)).toBe(true)
        }
        const [one, two] = [broker.producer(), second.producer()]
        for (const [turn, { do: what, n, ms }] of steps.entries()) {
          const ref = { id: `m${n}`, topic: 'work' }
          const by = turn % 2 === 0 ? one : two
          if (what === 'wait') await clock.advance(ms)
          else if (what === 'send' && !due.has(n)) {
            due.set(n, clock.now() + ms)
            await by.send(work, { n }, { id: ref.id, delayMs: ms })
          } else if (what === 'cancel') answered(n, await by.cancel(ref))
          else if (what === 'cancel twice') {
            const answers = await Promise.all([one.cancel(ref), two.cancel(ref)])
            for (const answer of answers.sort()) answered(n, answer)
          } else if (what === 'reschedule' && (await by.reschedule(ref, { delayMs: ms })) === 'rescheduled') {
            expect(cancelled.has(n) || handled(n)).toBe(false)
            due.set(n, clock.now() + ms)
          }
        }
        await clock.advance(120_000)
        const wanted = [...due.keys()].filter((each) => !cancelled.has(each))
        expect(seen.map((each) => each.n).sort()).toEqual(wanted.sort())
        for (const each of seen) expect(each.at).toBeGreaterThanOrEqual(due.get(each.n) ?? 0)
        await second.close()
        await broker.close()
      }),
      fast,
    )
  },
)
