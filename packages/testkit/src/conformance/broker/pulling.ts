import assert from 'node:assert/strict'
import { ack, fixed, nack, reject, retry } from '@posthorn/core'
import { broker, calls, letters, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Deliveries by hand, and the guarantees a handler may ask for. */
export const pulling: Chapter = {
  name: 'pull and guarantees',
  layer: 'broker',
  scenarios: [
    {
      id: 'handling.at-most-once',
      says: "with guarantee 'at-most-once' a message whose handler fails is not tried again",
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, () => {
          throw new Error('no')
        })
        await one.consume(orders, { group: 'g', guarantee: 'at-most-once' }, async (delivery) => {
          await seen.handler(delivery)
        })
        await one.producer().send(orders, 'x')
        await seen.reached(1)
        await seen.noMore()
      },
    },
    {
      id: 'handling.exactly-once-sends',
      says: "with guarantee 'exactly-once-sends' what is sent and the acknowledgement happen together, or it is refused",
      needs: ['effects'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const bills = topicFor<number>(stage)
        const billed = calls<number>(stage)
        await one.consume(bills, { group: 'g' }, billed.handler)
        const seen = calls<number>(stage, async ({ producer, body }, nth) => {
          // As in a transaction: what is sent here is not awaited by the handler's peers.
          void producer.send(bills, body * 10).catch(() => {})
          if (nth === 1) throw new Error('after the send')
          return undefined
        })
        await one.consume(
          orders,
          { group: 'g', guarantee: 'exactly-once-sends', use: [retry({ attempts: 3, backoff: fixed(5) })] },
          seen.handler,
        )
        await one.producer().send(orders, 1)
        await seen.reached(2)
        await billed.reached(1)
        assert.deepEqual(billed.bodies, [10])
        await billed.noMore()
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await refused('unsupported', () =>
          one.consume(topicFor<number>(stage), { group: 'g', guarantee: 'exactly-once-sends' }, async () => {}),
        )
      },
    },
    {
      id: 'handling.effects-need-an-inbox',
      says: "guarantee 'exactly-once-effects' is refused where nothing opens the transaction",
      run: async (stage) => {
        if (stage.harness.parts?.inbox !== undefined) return
        const one = await broker(stage)
        await refused('unsupported', () =>
          one.consume(topicFor<number>(stage), { group: 'g', guarantee: 'exactly-once-effects' }, async () => {}),
        )
      },
    },
    {
      id: 'pulling.receive',
      says: 'pull gives up to max, waits no longer than waitMs, and settles by hand',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 5 }, (_, body) => ({ body })),
        )
        const puller = one.pull(orders, { group: 'g', order: 'none' })
        stage.after(() => puller.close())
        const seen: number[] = []
        while (seen.length < 5) {
          const got = await puller.receive({ max: 3, waitMs: stage.patienceMs })
          assert.ok(got.length >= 1 && got.length <= 3)
          for (const each of got) {
            seen.push(each.body)
            assert.equal(await each.settle(ack()), 'ok')
            assert.equal(await each.settle(ack()), 'stale')
          }
        }
        assert.deepEqual(await puller.receive({ max: 3, waitMs: 50 }), [])
      },
    },
    {
      id: 'pulling.verdicts',
      says: 'by hand, nack brings a message back with its try counted, and reject makes it a dead letter',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        await one.producer().send(orders, 'x')
        const puller = one.pull(orders, { group: 'g', order: 'none' })
        stage.after(() => puller.close())
        const [first] = await puller.receive({ max: 1, waitMs: stage.patienceMs })
        assert.equal(first?.attempt, 1)
        assert.equal(await first?.settle(nack({ afterMs: 10 })), 'ok')
        const [second] = await puller.receive({ max: 1, waitMs: stage.patienceMs })
        assert.equal(second?.attempt, 2)
        assert.equal(await second?.settle(reject('enough')), 'ok')
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.equal(letter?.reason, 'rejected')
        assert.equal(letter?.error, 'enough')
      },
    },
    {
      id: 'pulling.iterator',
      says: 'pull is an async iterator that ends when it is left',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { key: () => 'k' })
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 4 }, (_, body) => ({ body })),
        )
        const seen: number[] = []
        for await (const delivery of one.pull(orders, { group: 'g' })) {
          seen.push(delivery.body)
          await delivery.settle(ack())
          if (seen.length === 3) break
        }
        assert.deepEqual(seen, [0, 1, 2])
        const rest = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, rest.handler)
        await rest.reached(1)
        assert.deepEqual(rest.bodies, [3])
      },
    },
  ],
}
