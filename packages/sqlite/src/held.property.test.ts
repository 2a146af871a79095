import { type Held, type HeldState, partsOf } from '@posthorn/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { connected, freshPath, message } from '../test/stage.ts'

const states = ['ready', 'prepared', 'parked', 'sent'] as const
const state = fc.constantFrom<HeldState>(...states)
const lane = fc.constantFrom(undefined, 'a', 'b')
const row = fc.nat({ max: 11 })
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('insert' as const), row, state, lane, due: fc.nat({ max: 20 }) }),
    fc.record({ do: fc.constant('move' as const), row, from: state, to: state, due: fc.nat({ max: 20 }) }),
    fc.record({ do: fc.constant('remove' as const), row, from: state }),
    fc.record({ do: fc.constant('claim' as const), state, max: fc.integer({ min: 1, max: 3 }) }),
  ),
  { minLength: 5, maxLength: 60 },
)

/** Rows of which the index says something else than what lies before them in their lane. */
const wrong = `SELECT ref FROM posthorn_held h WHERE leads <> (lane IS NULL
  OR NOT EXISTS (SELECT 1 FROM posthorn_held e WHERE e.lane = h.lane AND e.state = h.state AND e.no < h.no))`

test('whatever moves between states, the first of each lane leads it, and no other', async () => {
  const driver = await connected({ path: freshPath(), synchronous: 'normal' })
  const held = partsOf(driver.store as NonNullable<typeof driver.store>).held as Held
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      await driver.store?.transaction((tx) => tx.query('DELETE FROM posthorn_held'))
      for (const step of list) {
        const ref = 'row' in step ? `r${step.row}` : ''
        if (step.do === 'insert')
          await held.insert([
            {
              ref,
              state: step.state,
              lane: step.lane,
              dueAt: step.due,
              tries: 0,
              message: message('t', ref),
              topic: undefined,
            },
          ])
        // A lease of no length: a row that was claimed can be moved by anybody at once.
        else if (step.do === 'claim') await held.claim({ state: step.state, now: 30, max: step.max, leaseMs: 0 })
        else
          await held.change(
            ref,
            { state: step.from },
            step.do === 'move' ? { state: step.to, dueAt: step.due } : undefined,
          )
        expect(driver.client.database.prepare(wrong).all(), JSON.stringify(step)).toEqual([])
      }
    }),
    { seed: 20_261_128, numRuns: 60 },
  )
  await driver.close()
}, 60_000)
