import assert from 'node:assert/strict'
import { ack, fixed, retry } from '@posthorn/core'
import { broker, calls, letters, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Consumers as a user holds them: handlers, batches, pull, pause, stop. */
export const handling: Chapter = {
  name: 'handling',
  layer: 'broker',
  scenarios: [
    {
      id: 'handling.delivery',
      says: 'a delivery tells topic, group, attempt, time and that it is no replay',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<{ a: string }>(stage)
        const seen = calls<{ a: string }>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const before = stage.now()
        await one.producer().send(orders, { a: 'b' }, { key: 'k' })
        await seen.reached(1)
        const [got] = seen.all
        assert.deepEqual(got?.body, { a: 'b' })
        assert.equal(got?.topic, orders.name)
        assert.equal(got?.group, 'g')
        assert.equal(got?.attempt, 1)
        assert.equal(got?.replay, false)
        assert.equal(got?.signal.aborted, false)
        assert.ok(Math.abs((got?.sentAt?.getTime() ?? 0) - before) < 60_000)
      },
    },
    {
      id: 'handling.resolve-is-ack',
      says: 'a handler that resolves, or returns ack(), is done with its message',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const seen = calls<number>(stage, ({ body }) => (body % 2 === 0 ? ack() : undefined))
        const consumer = await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().sendBatch(orders, [{ body: 1 }, { body: 2 }])
        await seen.reached(2)
        assert.deepEqual(await consumer.stop(), { handled: 2, givenBack: 0 })
        const again = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, again.handler)
        await again.noMore()
      },
    },
    {
      id: 'handling.concurrency',
      says: 'no more handlers run at once than were asked for, and as many as that do',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        let running = 0
        let most = 0
        const full = Promise.withResolvers<void>()
        const seen = calls<number>(stage, async () => {
          most = Math.max(most, ++running)
          // However slowly the broker hands them out.
          if (running === 3) full.resolve()
          await full.promise
          await new Promise((resolve) => setTimeout(resolve, 5))
          running--
          return undefined
        })
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 30 }, (_, body) => ({ body })),
        )
        await one.consume(orders, { group: 'g', concurrency: 3 }, seen.handler)
        await seen.reached(30)
        assert.equal(most, 3)
      },
    },
    {
      id: 'handling.window',
      says: 'no more than the window is taken from the broker unsettled: another member gets the rest',
      run: async (stage) => {
        const one = await broker(stage)
        const two = await broker(stage)
        const orders = topicFor<number>(stage, { partitions: 4 })
        let release = (): void => {}
        const held = new Promise<void>((resolve) => {
          release = resolve
        })
        const slow = calls<number>(stage, async () => {
          await held
          return undefined
        })
        const quick = calls<number>(stage)
        await one.consume(orders, { group: 'g', concurrency: 2, window: 4, order: 'none' }, slow.handler)
        await two.consume(orders, { group: 'g', concurrency: 2, window: 4, order: 'none' }, quick.handler)
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 40 }, (_, body) => ({ body, key: `k${body}` })),
        )
        // A log gives a member whole partitions; only a queue can give all the rest to whoever is free.
        await quick.reached(stage.traits.history && stage.traits.nackDelay === 'none' ? 1 : 36)
        release()
        await stage.until('all are handled', () => slow.all.length + quick.all.length >= 40)
      },
    },
    {
      id: 'handling.batch',
      says: 'a batch handler gets up to its size, or what came within its time',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const sizes: number[] = []
        let total = 0
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 25 }, (_, body) => ({ body })),
        )
        await one.consume(orders, { group: 'g', batch: { size: 10, waitMs: 100 }, order: 'none' }, async (messages) => {
          sizes.push(messages.length)
          total += messages.length
        })
        await stage.until('all came', () => total === 25)
        assert.ok(sizes.every((size) => size >= 1 && size <= 10))
        assert.ok(sizes.length < 25, `every message came alone: ${sizes}`)
      },
    },
    {
      id: 'handling.one-bad-in-a-batch',
      says: 'one message on which a batch fails is found and dead-lettered; the others are handled',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const good = new Set<number>()
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 6 }, (_, body) => ({ body })),
        )
        await one.consume(
          orders,
          {
            group: 'g',
            batch: { size: 6, waitMs: 50 },
            order: 'none',
            use: [retry({ attempts: 2, backoff: fixed(5) })],
          },
          async (messages) => {
            if (messages.some(({ body }) => body === 3)) throw new Error('three is bad')
            for (const { body } of messages) good.add(body)
          },
        )
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.equal(letter?.body, 3)
        await stage.until('the others are handled', () => good.size === 5)
      },
    },
    {
      id: 'handling.nonsense',
      says: 'a handler that returns nonsense or throws undefined has failed, and its message is not lost',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const seen = calls<number>(stage, ({ body }) => {
          if (body === 1) return 42 as never
          throw undefined
        })
        await one.producer().sendBatch(orders, [{ body: 1 }, { body: 2 }])
        await one.consume(
          orders,
          { group: 'g', use: [retry({ attempts: 1, backoff: fixed(1) })], order: 'none' },
          seen.handler,
        )
        const found = await letters(stage, one.deadLetters(orders, { group: 'g' }), 2)
        assert.deepEqual(found.map(({ body }) => body).sort(), [1, 2])
      },
    },
    {
      id: 'handling.middleware',
      says: 'consume middlewares stand around the handler, the first outermost, and may answer for it',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const trace: string[] = []
        const layer = (name: string) => ({
          consume: (next: (delivery: never) => Promise<never>) => async (delivery: never) => {
            trace.push(`${name} in`)
            const verdict = await next(delivery)
            trace.push(`${name} out`)
            return verdict
          },
        })
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g', use: [layer('a'), layer('b')] as never }, seen.handler)
        await one.producer().send(orders, 'x')
        await stage.until('both are out', () => trace.length === 4)
        assert.deepEqual(trace, ['a in', 'b in', 'b out', 'a out'])
      },
    },
    {
      id: 'handling.long-lease',
      says: 'a handler that works longer than the lease is not run twice',
      needs: ['lease'],
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const orders = topicFor<string>(stage)
        let release = (): void => {}
        const gate = new Promise<void>((resolve) => {
          release = resolve
        })
        const seen = calls<string>(stage, async () => {
          await gate
          return undefined
        })
        await one.consume(orders, { group: 'g' }, seen.handler)
        await two.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 'x')
        await seen.reached(1)
        const leaseMs = stage.traits.leaseMs ?? 0
        for (let n = 0; n < 12; n++) await stage.pass(leaseMs / 6)
        assert.equal(seen.all[0]?.signal.aborted, false)
        release()
        await seen.noMore()
        assert.equal(seen.all.length, 1)
      },
      refused: async (stage) => assert.equal(stage.traits.leaseMs, undefined),
    },
    {
      id: 'handling.events',
      says: 'sent, handled, retry and dead-letter events tell what happened, with ids',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const told: string[] = []
        one.on('sent', ({ id }) => told.push(`sent ${id}`))
        one.on('handled', ({ id, attempt }) => told.push(`handled ${id} ${attempt}`))
        one.on('retry', ({ id, attempt }) => told.push(`retry ${id} ${attempt}`))
        one.on('dead-letter', ({ id, reason }) => told.push(`dead ${id} ${reason}`))
        const seen = calls<string>(stage, ({ body, attempt }) => {
          if (body === 'bad' || attempt === 1) throw new Error('no')
          return undefined
        })
        await one.consume(
          orders,
          { group: 'g', use: [retry({ attempts: 2, backoff: fixed(5) })], order: 'none' },
          seen.handler,
        )
        await one.producer().send(orders, 'bad', { id: 'b' })
        await one.producer().send(orders, 'good', { id: 'g' })
        const want = ['sent b', 'sent g', 'retry b 1', 'retry g 1', 'handled g 2', 'dead b attempts']
        await stage.until(`all of ${want}`, () => want.every((each) => told.includes(each)) || undefined)
      },
    },
  ],
}
