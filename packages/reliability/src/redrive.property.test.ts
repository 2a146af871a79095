import { retry, topic } from '@posthorn/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cases } from './mortal.ts'
import { rig } from './rig.ts'

const { fast, timeout } = cases()
const work = topic<{ n: number }>('work', { groups: [{ name: 'g', order: 'key' }, 'other'] })

const plan = fc.record({
  keys: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 12 }),
  deaths: fc.array(fc.record({ call: fc.nat(20), after: fc.boolean() }), { maxLength: 4 }),
  ratePerSecond: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
})

it('redrive, killed anywhere: nothing lost, one group, the same id, twice at most once per kill, in order', {
  timeout,
}, async () => {
  await fc.assert(
    fc.asyncProperty(plan, async ({ keys, deaths, ratePerSecond }) => {
      const { broker, clock, another } = await rig()
      const seen: number[] = []
      const others: number[] = []
      let broken = true
      await broker.consume(work, { group: 'other' }, async ({ body }) => void others.push(body.n))
      await broker.consume(
        work,
        { group: 'g', order: 'key', use: [retry({ attempts: 1 })] },
        async ({ body: { n }, id }) => {
          if (broken) throw new Error('down')
          expect(id).toBe(`m${n}`)
          seen.push(n)
        },
      )
      for (const [n, key] of keys.entries()) await broker.producer().send(work, { n }, { key, id: `m${n}` })
      await clock.advance(1_000)
      broken = false
      for (const death of deaths) {
        const mortal = await another(death)
        // Never answered where it dies.
        void mortal.deadLetters(work, { group: 'g' }).redrive({ ratePerSecond })
        await clock.advance(15_000)
      }
      await Promise.all([broker.deadLetters(work, { group: 'g' }).redrive({ ratePerSecond }), clock.advance(15_000)])
      await clock.advance(1_000)
      const letters: string[] = []
      for await (const { id } of broker.deadLetters(work, { group: 'g' }).list()) letters.push(id)
      expect(letters).toEqual([])
      expect([...new Set(seen)].sort((a, b) => a - b)).toEqual(keys.map((_, n) => n))
      expect(seen.length).toBeLessThanOrEqual(keys.length + deaths.length)
      expect(others).toHaveLength(keys.length)
      const first = [...new Set(seen)]
      for (const key of ['a', 'b', 'c']) {
        const mine = first.filter((n) => keys[n] === key)
        expect(mine).toEqual([...mine].sort((a, b) => a - b))
      }
      await broker.close()
    }),
    fast,
  )
})
