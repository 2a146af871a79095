import assert from 'node:assert/strict'
import { fixed, retry } from '@posthorn/core'
import { broker, calls, letters, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** The patterns that the umbrella brings, on this transport with this store. */
export const patterns: Chapter = {
  name: 'patterns',
  layer: 'broker',
  scenarios: [
    {
      id: 'patterns.rule-19-park',
      says: "rule 19: with onFailure 'park' a key waits behind its failed message; redriving releases it in order",
      needs: ['a keeper'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { key: (body) => body.slice(0, 1) })
        let broken = true
        const seen = calls<string>(stage, ({ body }) => {
          if (body === 'a1' && broken) throw new Error('broken')
          return undefined
        })
        await one.consume(
          orders,
          { group: 'g', onFailure: 'park', use: [retry({ attempts: 2, backoff: fixed(5) })] },
          seen.handler,
        )
        const producer = one.producer()
        for (const body of ['a1', 'a2', 'b1', 'a3']) await producer.send(orders, body)
        const dead = one.deadLetters(orders, { group: 'g' })
        const parked = await letters(stage, dead, 3)
        assert.deepEqual(
          parked.map(({ body, reason }) => `${body} ${reason}`),
          ['a1 parked', 'a2 parked', 'a3 parked'],
        )
        assert.ok(seen.bodies.includes('b1'))
        broken = false
        await dead.redrive()
        await stage.until('the key was released', () => seen.bodies.includes('a3'))
        const tail = seen.bodies.slice(seen.bodies.lastIndexOf('a1'))
        assert.deepEqual(tail, ['a1', 'a2', 'a3'])
      },
      refused: refusesPark,
    },
    {
      id: 'patterns.rule-11-half-message',
      says: 'rule 11: a half message counts when its work resolves, and never when it throws',
      needs: ['a keeper'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        one.checkHalf(orders, async () => 'unknown')
        const producer = one.producer()
        const { result } = await producer.sendHalf(orders, 'kept', async () => 'done')
        assert.equal(result, 'done')
        await assert.rejects(
          producer.sendHalf(orders, 'gone', async () => {
            throw new Error('no')
          }),
          /no/,
        )
        await seen.reached(1)
        await seen.noMore()
        assert.deepEqual(seen.bodies, ['kept'])
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await refused('unsupported', () => one.producer().sendHalf(topicFor<string>(stage), 'x', async () => {}))
      },
    },
    {
      id: 'patterns.rule-11-check-back',
      says: 'rule 11: a half message whose sender vanished is asked about, by another process, and sent if that says so',
      needs: ['a keeper', 'time in hand'],
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await two.consume(orders, { group: 'g' }, seen.handler)
        one.checkHalf(orders, async () => 'unknown')
        void one
          .producer()
          .sendHalf(orders, 'orphan', () => new Promise<never>(() => {}))
          .catch(() => {})
        await stage.pass(1_000)
        two.checkHalf(orders, async ({ body }) => (body === 'orphan' ? 'commit' : 'rollback'))
        await stage.pass(30_000)
        assert.equal(seen.all.length, 0, 'it was asked about within its immunity')
        await stage.pass(200_000)
        await seen.reached(1)
      },
      refused: async (stage) => {
        if (stage.harness.parts?.openKeeper !== undefined) return
        const one = await broker(stage)
        await refused('unsupported', () => one.producer().sendHalf(topicFor<string>(stage), 'x', async () => {}))
      },
    },
    {
      id: 'patterns.rule-13-inbox',
      says: 'rule 13: the same message twice has one effect, also when both are handled at once',
      needs: ['an inbox', 'a store'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const bills = topicFor<string>(stage)
        const billed = calls<string>(stage)
        await one.consume(bills, { group: 'g' }, billed.handler)
        await one.consume(
          orders,
          { group: 'g', order: 'none', guarantee: 'exactly-once-effects' },
          async ({ body, tx }) => {
            await one.producer().send(bills, body, { tx })
          },
        )
        const producer = one.producer()
        await producer.sendBatch(orders, [
          { body: 'x', id: 'same' },
          { body: 'x', id: 'same' },
          { body: 'y', id: 'other' },
        ])
        await billed.reached(2)
        await billed.noMore()
        assert.deepEqual([...billed.bodies].sort(), ['x', 'y'])
      },
      refused: refusesEffects,
    },
    {
      id: 'patterns.rule-12-commits-on-ack',
      says: 'rule 12: what a handler did in its transaction is undone with its inbox row when it fails, and done once when it succeeds',
      needs: ['an inbox', 'a store'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const bills = topicFor<string>(stage)
        const billed = calls<string>(stage)
        await one.consume(bills, { group: 'g' }, billed.handler)
        let starts = 0
        await one.consume(
          orders,
          { group: 'g', guarantee: 'exactly-once-effects', use: [retry({ attempts: 5, backoff: fixed(10) })] },
          async ({ body, tx }) => {
            starts++
            await one.producer().send(bills, body, { tx })
            if (starts < 3) throw new Error('after the send')
          },
        )
        await one.producer().send(orders, 'x')
        await billed.reached(1)
        await billed.noMore()
        assert.equal(starts, 3)
      },
      refused: refusesEffects,
    },
    {
      id: 'patterns.rule-23-seek',
      says: 'rule 23: a group with an inbox that seeks back keeps what it knows, or forgets it when told so',
      needs: ['an inbox', 'a store', 'replay'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        let effects = 0
        const consumer = await one
          .having('replay')
          ?.consume(orders, { group: 'g', guarantee: 'exactly-once-effects' }, async () => {
            effects++
          })
        await one.producer().send(orders, 'x')
        await stage.until('it was handled', () => effects === 1)
        const quiet = calls<string>(stage)
        await consumer?.seek('earliest', { dedupe: 'keep' })
        await quiet.noMore()
        assert.equal(effects, 1)
        await consumer?.seek('earliest', { dedupe: 'forget' })
        await stage.until('it was handled again', () => effects === 2)
      },
      refused: async (stage) =>
        assert.ok(stage.harness.parts?.inbox === undefined || !stage.capabilities.replay || !stage.plan.openStore),
    },
    {
      id: 'patterns.outbox-rolls-back',
      says: 'through the outbox, what was sent in a transaction that rolls back is never sent',
      needs: ['a keeper', 'a store'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await assert.rejects(
          one.store.transaction(async (tx) => {
            await one.producer().send(orders, 'gone', { tx })
            throw new Error('rolled back')
          }),
        )
        await one.store.transaction(async (tx) => {
          await one.producer().send(orders, 'kept', { tx })
        })
        await seen.reached(1)
        await seen.noMore()
        assert.deepEqual(seen.bodies, ['kept'])
      },
      refused: async (stage) => {
        if (stage.traits.transactional || stage.harness.parts?.openKeeper !== undefined) return
        const one = await broker(stage)
        const tx = { query: async () => ({ rows: [] }) }
        await refused('unsupported', () => one.producer().send(topicFor<string>(stage), 'x', { tx }))
      },
    },
  ],
}

async function refusesPark(stage: Parameters<typeof broker>[0]): Promise<void> {
  const one = await broker(stage)
  await refused('unsupported', () =>
    one.consume(topicFor<string>(stage, { key: () => 'k' }), { group: 'g', onFailure: 'park' }, async () => {}),
  )
}

async function refusesEffects(stage: Parameters<typeof broker>[0]): Promise<void> {
  if (stage.harness.parts?.inbox !== undefined) return
  const one = await broker(stage)
  await refused('unsupported', () =>
    one.consume(topicFor<string>(stage), { group: 'g', guarantee: 'exactly-once-effects' }, async () => {}),
  )
}
