import { topic } from '@posthorn/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cases } from './mortal.ts'
import { rig } from './rig.ts'

const { fast, timeout } = cases()
const work = topic<{ n: number }>('work', { groups: [{ name: 'g', order: 'key' }] })

const plan = fc.record({
  /** Business transactions: their messages' keys, and whether they commit. */
  transactions: fc.array(
    fc.record({
      keys: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }),
      commits: fc.boolean(),
      gapMs: fc.nat(200),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  deaths: fc.array(fc.record({ call: fc.nat(25), after: fc.boolean() }), { minLength: 1, maxLength: 3 }),
})

it('outbox: several relays that die anywhere: what was committed arrives in order per key, nothing of what was rolled back', {
  timeout,
}, async () => {
  await fc.assert(
    fc.asyncProperty(plan, async ({ transactions, deaths }) => {
      const { broker, clock, another } = await rig({ apart: true })
      const seen: { readonly id: string; readonly n: number }[] = []
      await broker.consume(
        work,
        { group: 'g', order: 'key' },
        async ({ id, body }) => void seen.push({ id, n: body.n }),
      )
      for (const death of deaths) await another(death)
      const producer = broker.producer()
      const committed: { readonly n: number; readonly key: string }[] = []
      let n = 0
      for (const { keys, commits, gapMs } of transactions) {
        const mine = keys.map((key) => ({ n: n++, key }))
        const transaction = broker.store.transaction(async (tx) => {
          for (const { n, key } of mine) await producer.send(work, { n }, { id: `m${n}`, key, tx })
          if (!commits) throw new Error('rolled back')
        })
        await transaction.catch(() => {})
        if (commits) committed.push(...mine)
        await clock.advance(gapMs)
      }
      // Each of the dead may have held a lease.
      await clock.advance(40_000 * (deaths.length + 1))
      const first = [...new Set(seen.map((each) => each.n))]
      expect([...first].sort((a, b) => a - b)).toEqual(committed.map((each) => each.n))
      for (const each of seen) expect(each.id).toBe(`m${each.n}`)
      for (const key of ['a', 'b', 'c']) {
        const mine = committed.filter((each) => each.key === key).map((each) => each.n)
        expect(first.filter((each) => mine.includes(each))).toEqual(mine)
      }
      await broker.close()
    }),
    fast,
  )
})
