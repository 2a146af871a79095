import assert from 'node:assert/strict'
import { broker, calls, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** The producer as a user holds it. */
export const sending: Chapter = {
  name: 'sending',
  layer: 'broker',
  scenarios: [
    {
      id: 'sending.receipt',
      says: 'a send resolves with a receipt that names the message, its topic and where it is held',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<{ n: number }>(stage)
        const receipt = await one.producer().send(orders, { n: 1 })
        assert.match(receipt.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        assert.equal(receipt.topic, orders.name)
        assert.equal(receipt.held, 'broker')
        const mine = await one.producer().send(orders, { n: 2 }, { id: 'my-own' })
        assert.equal(mine.id, 'my-own')
      },
    },
    {
      id: 'sending.options-arrive',
      says: 'key, tag, headers and id arrive; a header that is undefined is not sent',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<{ n: number }>(stage)
        const seen = calls<{ n: number }>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, { n: 7 }, { id: 'i', key: 'k', tag: 't', headers: { a: 'ä', b: undefined } })
        await seen.reached(1)
        const [got] = seen.all
        assert.deepEqual(got?.body, { n: 7 })
        assert.deepEqual([got?.id, got?.key, got?.tag], ['i', 'k', 't'])
        assert.deepEqual({ ...got?.headers }, { a: 'ä' })
      },
    },
    {
      id: 'sending.rule-1-unroutable',
      says: 'rule 1: where nothing is kept for later, a send that no group gets rejects as unroutable',
      needs: ['no history'],
      run: async (stage) => {
        const one = await broker(stage)
        await refused('unroutable', () => one.producer().send(topicFor<number>(stage, { groups: [] }), 1))
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await one.producer().send(topicFor<number>(stage, { groups: [] }), 1)
      },
    },
    {
      id: 'sending.rule-1-named-groups',
      says: 'rule 1: every group that the topic names has the message when its send resolves, before any reader',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { groups: ['a', 'b'] })
        await one.producer().send(orders, 1)
        await one.close()
        const two = await broker(stage)
        for (const group of ['a', 'b']) {
          const seen = calls<number>(stage)
          await two.consume(orders, { group }, seen.handler)
          await seen.reached(1)
        }
      },
    },
    {
      id: 'sending.rule-2-order-of-a-key',
      says: 'rule 2: messages of a key that are sent without waiting arrive in the order of their calls',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { key: () => 'k' })
        const producer = one.producer()
        await Promise.all(Array.from({ length: 200 }, (_, n) => producer.send(orders, n)))
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(200)
        assert.deepEqual(
          seen.bodies,
          Array.from({ length: 200 }, (_, n) => n),
        )
      },
    },
    {
      id: 'sending.aborted',
      says: 'a send whose signal has fired rejects as aborted, and nothing of it is delivered',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await refused('aborted', () => one.producer().send(orders, 1, { signal: AbortSignal.abort() }))
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.noMore()
      },
    },
    {
      id: 'sending.unencodable',
      says: 'a body that the codec cannot write rejects as codec, and the producer goes on',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage)
        const loop: Record<string, unknown> = {}
        loop['self'] = loop
        await refused('codec', () => one.producer().send(orders, loop))
        await refused('codec', () => one.producer().send(orders, 1n))
        await one.producer().send(orders, { fine: true })
      },
    },
    {
      id: 'sending.too-large',
      says: 'a body above 1 MiB rejects as too-large, naming both sizes',
      run: async (stage) => {
        const one = await broker(stage)
        await refused(
          'too-large',
          () => one.producer().send(topicFor<string>(stage), 'x'.repeat(1_100_000)),
          /1048576|bytes/,
        )
      },
    },
    {
      id: 'sending.rule-8-expiry',
      says: 'rule 8: a message that expired before its handler is a dead letter, not a delivery',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        await one.producer().send(orders, 'stale', { expiresInMs: 50 })
        await one.producer().send(orders, 'fresh', { expiresInMs: 3_600_000 })
        await stage.pass(120)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(1)
        assert.deepEqual(seen.bodies, ['fresh'])
        const [letter] = await stage.until('the letter', async () => {
          const found = []
          for await (const each of one.deadLetters(orders, { group: 'g' }).list()) found.push(each)
          return found.length > 0 ? found : undefined
        })
        assert.equal(letter?.reason, 'expired')
      },
    },
    {
      id: 'sending.priority-or-refusal',
      says: 'a priority is kept where the broker has priorities, and refused where it has not',
      needs: ['priority'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { priority: 1, partitions: 1 })
        for (const priority of [1, 9, 5]) await one.producer().send(orders, priority, { priority })
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g', concurrency: 1, window: 1, order: 'none' }, seen.handler)
        await seen.reached(3)
        assert.deepEqual(seen.bodies, [9, 5, 1])
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await refused('unsupported', () => one.producer().send(topicFor<number>(stage), 1, { priority: 5 }), /priorit/)
      },
    },
    {
      id: 'sending.middleware',
      says: 'a send middleware sees one message at a time and may change headers or stop it',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const producer = one.producer({
          use: [
            {
              send: (next) => async (message) => {
                if (message.body === 'stop') throw new Error('stopped here')
                return next({ ...message, headers: { ...message.headers, seen: 'yes' } })
              },
            },
          ],
        })
        await assert.rejects(producer.send(orders, 'stop'), /stopped here/)
        await producer.send(orders, 'go')
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(1)
        assert.equal(seen.all[0]?.headers['seen'], 'yes')
        await seen.noMore()
      },
    },
    {
      id: 'sending.transaction',
      says: 'a send in a transaction counts when it commits, and not when it rolls back',
      needs: ['transactional'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await assert.rejects(
          one.store.transaction(async (tx) => {
            await one.producer().send(orders, 'lost', { tx })
            throw new Error('rolled back')
          }),
          /rolled back/,
        )
        await one.store.transaction(async (tx) => {
          await one.producer().send(orders, 'kept', { tx })
        })
        await seen.reached(1)
        assert.deepEqual(seen.bodies, ['kept'])
        await seen.noMore()
      },
      refused: async (stage) => {
        if (stage.harness.parts?.openKeeper !== undefined) return
        const one = await broker(stage)
        const tx = { query: async () => ({ rows: [] }) }
        await refused('unsupported', () => one.producer().send(topicFor<string>(stage), 'x', { tx }))
      },
    },
  ],
}
