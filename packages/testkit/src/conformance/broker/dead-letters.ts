import assert from 'node:assert/strict'
import { reject } from '@posthorn/core'
import { broker, calls, letters, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Dead letters: listed, redriven, discarded. */
export const deadLetters: Chapter = {
  name: 'dead letters',
  layer: 'broker',
  scenarios: [
    {
      id: 'letters.rule-5-redrive',
      says: 'rules 5 and 6: redriving sends a letter to its group alone, under its id, and takes it from the shelf',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { groups: ['a', 'b'] })
        let broken = true
        const a = calls<string>(stage, () => (broken ? reject('broken') : undefined))
        const b = calls<string>(stage)
        await one.consume(orders, { group: 'a' }, a.handler)
        await one.consume(orders, { group: 'b' }, b.handler)
        const { id } = await one.producer().send(orders, 'x', { key: 'k' })
        const dead = one.deadLetters(orders, { group: 'a' })
        await letters(stage, dead, 1)
        broken = false
        assert.deepEqual(await dead.redrive({ dryRun: true }), { matched: 1, redriven: 0, failed: 0, refused: 0 })
        assert.deepEqual(await dead.redrive(), { matched: 1, redriven: 1, failed: 0, refused: 0 })
        await a.reached(2)
        assert.equal(a.all[1]?.id, id)
        assert.equal(a.all[1]?.attempt, 1)
        assert.equal(a.all[1]?.key, 'k')
        await stage.until('the shelf is empty', async () => (await letters(stage, dead, 0)).length === 0)
        await b.noMore()
        assert.equal(b.all.length, 1)
      },
    },
    {
      id: 'letters.where',
      says: 'letters are chosen by a condition, to redrive and to discard',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        let broken = true
        const seen = calls<number>(stage, () => (broken ? reject('broken') : undefined))
        await one.consume(orders, { group: 'g', order: 'none' }, seen.handler)
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 6 }, (_, body) => ({ body })),
        )
        const dead = one.deadLetters(orders, { group: 'g' })
        await letters(stage, dead, 6)
        broken = false
        const { discarded } = await dead.discard({ where: ({ body }) => (body ?? 0) < 2 })
        assert.equal(discarded, 2)
        const redrive = await dead.redrive({ where: ({ body }) => body === 4 || body === 5 })
        assert.equal(redrive.redriven, 2)
        await seen.reached(8)
        await stage.until('two are left', async () => {
          const rest = await letters(stage, dead, 0)
          return (
            rest
              .map(({ body }) => body)
              .sort()
              .join() === '2,3'
          )
        })
      },
    },
    {
      id: 'letters.order',
      says: 'letters of a key are redriven in the order in which they failed',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { key: () => 'k' })
        let broken = true
        const seen = calls<number>(stage, () => (broken ? reject('broken') : undefined))
        await one.consume(orders, { group: 'g' }, seen.handler)
        const producer = one.producer()
        for (let n = 0; n < 5; n++) await producer.send(orders, n)
        const dead = one.deadLetters(orders, { group: 'g' })
        await letters(stage, dead, 5)
        broken = false
        await dead.redrive()
        await seen.reached(10)
        assert.deepEqual(seen.bodies.slice(5), [0, 1, 2, 3, 4])
      },
    },
    {
      id: 'letters.limit',
      says: 'a list may be limited, and what is listed stays',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.consume(orders, { group: 'g', order: 'none' }, async () => reject('no'))
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 4 }, (_, body) => ({ body })),
        )
        const dead = one.deadLetters(orders, { group: 'g' })
        await letters(stage, dead, 4)
        let count = 0
        for await (const _ of dead.list({ limit: 2 })) count++
        assert.equal(count, 2)
        assert.equal((await letters(stage, dead, 4)).length, 4)
      },
    },
  ],
}
