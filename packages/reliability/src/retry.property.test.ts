import { fixed, list, retry, topic } from '@posthorn/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cases } from './mortal.ts'
import { rig } from './rig.ts'

const { fast, timeout } = cases()
const topics = {
  key: topic<{ n: number }>('work', { groups: [{ name: 'g', order: 'key' }] }),
  none: topic<{ n: number }>('work', { groups: ['g'] }),
}

const plan = fc.record({
  messages: fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), fails: fc.nat(6), gapMs: fc.nat(300) }), {
    minLength: 1,
    maxLength: 8,
  }),
  attempts: fc.integer({ min: 1, max: 5 }),
  waits: fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 3 }),
  inPlace: fc.option(fc.nat(3), { nil: undefined }),
  order: fc.constantFrom('key' as const, 'none' as const),
  nackDelay: fc.constantFrom('ordered' as const, 'unordered' as const, 'none' as const),
  concurrency: fc.integer({ min: 1, max: 6 }),
})

it('retry: tries bounded and never early, the rest are letters, a key waits for its failing message', {
  timeout,
}, async () => {
  await fc.assert(
    fc.asyncProperty(plan, async ({ messages, attempts, waits, inPlace, order, nackDelay, concurrency }) => {
      const work = topics[order]
      const { broker, clock } = await rig({ traits: { nackDelay } })
      const starts: { readonly n: number; readonly at: number; readonly attempt: number }[] = []
      const backoff = waits.length === 1 ? fixed(waits[0] as number) : list(...waits)
      await broker.consume(
        work,
        { group: 'g', order, concurrency, use: [retry({ attempts, inPlace, backoff })] },
        async ({ body: { n }, attempt }) => {
          starts.push({ n, at: clock.now(), attempt })
          if (starts.filter((each) => each.n === n).length <= (messages[n]?.fails ?? 0)) throw new Error('no')
        },
      )
      for (const [n, { key, gapMs }] of messages.entries()) {
        await broker.producer().send(work, { n }, { key, id: `m${n}` })
        await clock.advance(gapMs)
      }
      await clock.advance(messages.length * attempts * 11_000)
      const letters: string[] = []
      for await (const letter of broker.deadLetters(work, { group: 'g' }).list())
        letters.push(`${letter.id} ${letter.reason} ${letter.attempts}`)
      expect(letters.sort()).toEqual(
        messages.flatMap(({ fails }, n) => (fails >= attempts ? [`m${n} attempts ${attempts}`] : [])).sort(),
      )
      for (const [n, { fails, key }] of messages.entries()) {
        const mine = starts.filter((each) => each.n === n)
        expect(mine.map(({ attempt }) => attempt)).toEqual(
          Array.from({ length: Math.min(fails + 1, attempts) }, (_, i) => i + 1),
        )
        for (let i = 1; i < mine.length; i++)
          expect((mine[i]?.at ?? 0) - (mine[i - 1]?.at ?? 0)).toBeGreaterThanOrEqual(backoff(i))
        if (order === 'none') continue
        const last = starts.findLastIndex((each) => each.n === n)
        expect(starts.slice(0, last).filter((each) => each.n > n && messages[each.n]?.key === key)).toEqual([])
      }
      await broker.close()
    }),
    fast,
  )
})
