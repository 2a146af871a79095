import assert from 'node:assert/strict'
import { broker, calls, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Batches, buffers, one-way sends. */
export const sendingMany: Chapter = {
  name: 'sending many',
  layer: 'broker',
  scenarios: [
    {
      id: 'sending.thousands-in-flight',
      says: 'two thousand sends through a small buffer all resolve, and each message is handled once',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer({ buffer: 100 })
        const receipts = await Promise.all(Array.from({ length: 2_000 }, (_, n) => producer.send(orders, n)))
        assert.equal(new Set(receipts.map(({ id }) => id)).size, 2_000)
        assert.equal(producer.stats().pending, 0)
        assert.equal(producer.stats().sent, 2_000)
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g', concurrency: 64 }, seen.handler)
        await seen.reached(2_000)
        assert.equal(new Set(seen.bodies).size, 2_000)
        assert.equal(seen.all.length, 2_000)
      },
    },
    {
      id: 'sending.buffer-holds-back',
      says: 'no more than the buffer is under way; a send beyond it waits',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer({ buffer: 5 })
        const sends = Array.from({ length: 50 }, (_, n) => producer.send(orders, n))
        assert.ok(producer.stats().pending <= 50)
        await Promise.all(sends)
        await producer.flush()
        assert.equal(producer.stats().pending, 0)
        assert.equal(producer.stats().sent, 50)
      },
    },
    {
      id: 'sending.batch',
      says: 'a batch gives one answer each, in order; what is wrong with one does not spoil the others',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage)
        const results = await one
          .producer()
          .sendBatch(orders, [{ body: 1 }, { body: 'x'.repeat(2_000_000) }, { body: 3, key: 'k' }])
        assert.deepEqual(
          results.map(({ ok }) => ok),
          [true, false, true],
        )
        const [, bad] = results
        assert.ok(bad !== undefined && !bad.ok)
        assert.equal(bad.error.code, 'too-large')
        const seen = calls<unknown>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(2)
        await seen.noMore()
      },
    },
    {
      id: 'sending.rule-7-atomic',
      says: 'rule 7: an atomic batch is all or none where the broker can, and refused where it cannot',
      needs: ['atomic'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage)
        const seen = calls<unknown>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const bad = await one
          .producer()
          .sendBatch(orders, [{ body: 1 }, { body: 'x'.repeat(2_000_000) }], { atomic: true })
          .catch(() => [])
        assert.ok(bad.every(({ ok }) => !ok))
        await seen.noMore()
        const good = await one.producer().sendBatch(orders, [{ body: 1 }, { body: 2 }], { atomic: true })
        assert.ok(good.every(({ ok }) => ok))
        await seen.reached(2)
      },
      refused: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage)
        await refused('unsupported', () => one.producer().sendBatch(orders, [{ body: 1 }], { atomic: true }))
      },
    },
    {
      id: 'sending.post',
      says: 'post never throws and never waits; what was sent and what was dropped is counted',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage)
        const producer = one.producer()
        for (let n = 0; n < 20; n++) producer.post(orders, n)
        const loop: Record<string, unknown> = {}
        loop['self'] = loop
        producer.post(orders, loop)
        await producer.flush()
        const { posted, dropped, failed, sent } = producer.stats()
        assert.equal(posted, 20)
        assert.equal(sent, 20)
        assert.equal(dropped + failed, 1, 'what could not be encoded is counted')
        const seen = calls<unknown>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(20)
      },
    },
  ],
}
