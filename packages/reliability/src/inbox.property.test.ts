import { fixed, nack, retry, topic } from '@posthorn/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { idempotent } from './idempotent.ts'
import { cases } from './mortal.ts'
import { rig } from './rig.ts'

const { fast, timeout } = cases()
const work = topic<{ n: number }>('work', { groups: ['g'] })
const effects = topic<{ n: number }>('effects', { groups: ['e'] })
const attempts = 4

const message = fc.record({
  copies: fc.integer({ min: 1, max: 3 }),
  /** What its starts come to, one after the other; then it succeeds. */
  ends: fc.array(fc.constantFrom('throw' as const, 'nack' as const, 'reply late' as const), { maxLength: 3 }),
  gapMs: fc.nat(500),
})

it('inbox: copies, redeliveries and roll-backs, in two processes: each effect exactly once', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 8 }), fc.boolean(), async (messages, crossed) => {
      const { broker, clock, another } = await rig()
      const second = await another()
      const done: number[] = []
      const starts = new Map<number, number>()
      await broker.consume(effects, { group: 'e' }, async ({ body }) => void done.push(body.n))
      for (const each of [broker, second]) {
        const producer = each.producer()
        await each.consume(
          work,
          {
            group: 'g',
            guarantee: 'exactly-once-effects',
            // Wherever it stands in `use`, each try has a transaction of its own.
            use: crossed
              ? [idempotent(), retry({ attempts, backoff: fixed(20) })]
              : [retry({ attempts, backoff: fixed(20) }), idempotent()],
          },
          async ({ body, tx }) => {
            const start = starts.get(body.n) ?? 0
            starts.set(body.n, start + 1)
            await producer.send(effects, body, { tx })
            const end = messages[body.n]?.ends[start]
            if (end === 'throw') throw new Error('no')
            if (end === 'nack') return nack({ afterMs: 5 })
            if (end === 'reply late') await new Promise((resolve) => setImmediate(resolve))
            return undefined
          },
        )
      }
      for (const [n, { copies, gapMs }] of messages.entries()) {
        for (let copy = 0; copy < copies; copy++) await broker.producer().send(work, { n }, { id: `m${n}` })
        await clock.advance(gapMs)
      }
      await clock.advance(5_000)
      expect(done.sort((a, b) => a - b)).toEqual(messages.map((_, n) => n))
      await second.close()
      await broker.close()
    }),
    fast,
  )
})
