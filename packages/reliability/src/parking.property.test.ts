import { fixed, retry, topic } from '@posthorn/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cases } from './mortal.ts'
import { rig } from './rig.ts'

const { fast, timeout } = cases()
const work = topic<{ key: string; n: number }>('work', { groups: ['g'], key: ({ key }) => key })

const key = fc.constantFrom('a', 'b')
const step = fc.oneof(
  fc.record({ do: fc.constant('send' as const), key }),
  fc.record({ do: fc.constant('break' as const), key }),
  fc.record({ do: fc.constant('mend' as const), key }),
  fc.record({ do: fc.constant('redrive' as const), key }),
  fc.record({ do: fc.constant('wait' as const), key, ms: fc.nat(40_000) }),
)

it('park: a key keeps its order through failures, releases, failures again and arrivals; each is handled once', {
  timeout,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 25 }),
      fc.integer({ min: 1, max: 2 }),
      async (steps, attempts) => {
        const { broker, clock } = await rig()
        const seen: string[] = []
        const broken = new Set<string>()
        await broker.consume(
          work,
          { group: 'g', order: 'key', onFailure: 'park', use: [retry({ attempts, backoff: fixed(10) })] },
          async ({ body }) => {
            if (broken.has(body.key)) throw new Error('broken')
            seen.push(`${body.key}${body.n}`)
          },
        )
        const sent: Record<string, number> = { a: 0, b: 0 }
        const shelf = broker.deadLetters(work, { group: 'g' })
        for (const each of steps) {
          if (each.do === 'send') {
            const n = (sent[each.key] ?? 0) + 1
            sent[each.key] = n
            await broker.producer().send(work, { key: each.key, n })
          } else if (each.do === 'break') broken.add(each.key)
          else if (each.do === 'mend') broken.delete(each.key)
          else if (each.do === 'redrive') await shelf.redrive({ where: (letter) => letter.key === each.key })
          else await clock.advance(each.ms)
        }
        broken.clear()
        for (let round = 0; round < 3; round++) {
          await clock.advance(40_000)
          await shelf.redrive()
        }
        await clock.advance(120_000)
        for (const name of ['a', 'b'])
          expect(seen.filter((each) => each.startsWith(name))).toEqual(
            Array.from({ length: sent[name] ?? 0 }, (_, i) => `${name}${i + 1}`),
          )
        const left: string[] = []
        for await (const letter of shelf.list()) left.push(letter.id)
        expect(left).toEqual([])
        await broker.close()
      },
    ),
    fast,
  )
})
