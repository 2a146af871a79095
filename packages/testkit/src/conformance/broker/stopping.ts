import assert from 'node:assert/strict'
import { broker, calls, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Pause, resume and stop. */
export const stopping: Chapter = {
  name: 'pause and stop',
  layer: 'broker',
  scenarios: [
    {
      id: 'handling.pause-and-resume',
      says: 'a paused consumer starts nothing; resumed, it goes on where it was',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const seen = calls<number>(stage)
        const consumer = await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 1)
        await seen.reached(1)
        await consumer.pause()
        await one.producer().send(orders, 2)
        await seen.noMore()
        await consumer.resume()
        await seen.reached(2)
      },
    },
    {
      id: 'handling.rule-18-pause-gives-back',
      says: 'rule 18: a paused consumer gives back what has not started, so that another handles it, at no cost',
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const orders = topicFor<number>(stage, { partitions: 1 })
        let release = (): void => {}
        const gate = new Promise<void>((resolve) => {
          release = resolve
        })
        const slow = calls<number>(stage, async () => {
          await gate
          return undefined
        })
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 8 }, (_, body) => ({ body })),
        )
        const consumer = await one.consume(
          orders,
          { group: 'g', concurrency: 1, window: 8, order: 'none' },
          slow.handler,
        )
        await slow.reached(1)
        const pausing = consumer.pause()
        const free = calls<number>(stage)
        // Where a log gives whole partitions, the one in hand is given back with its reader.
        setTimeout(release, 100)
        await pausing
        await two.consume(orders, { group: 'g', order: 'none' }, free.handler)
        await free.reached(7)
        assert.equal(new Set([...slow.bodies, ...free.bodies]).size, 8)
        for (const { attempt, body } of free.all)
          if (!slow.bodies.includes(body)) assert.equal(attempt, 1, 'a pause cost a try')
      },
    },
    {
      id: 'handling.stop-drains',
      says: 'stop lets handlers finish and gives back what has not started; nothing is lost or tried twice',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        let release = (): void => {}
        const gate = new Promise<void>((resolve) => {
          release = resolve
        })
        const seen = calls<number>(stage, async () => {
          await gate
          return undefined
        })
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 10 }, (_, body) => ({ body })),
        )
        const consumer = await one.consume(orders, { group: 'g', concurrency: 2, order: 'none' }, seen.handler)
        await seen.reached(2)
        const stopping = consumer.stop()
        release()
        const { handled } = await stage.within('stop', 10_000, stopping)
        assert.equal(handled, 2)
        const rest = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, rest.handler)
        await rest.reached(8)
        assert.equal(new Set([...seen.bodies, ...rest.bodies]).size, 10)
        assert.ok(
          rest.all.every(({ attempt }) => attempt === 1),
          'a clean stop cost a try',
        )
      },
    },
    {
      id: 'handling.stop-hands-over-a-batch',
      says: 'stop gives a batch handler what has been collected at once, however long it might wait for more',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.producer().sendBatch(orders, [{ body: 1 }, { body: 2 }, { body: 3 }])
        const batches: (readonly number[])[] = []
        const consumer = await one.consume(
          orders,
          { group: 'g', batch: { size: 100, waitMs: 3_600_000 }, order: 'none' },
          async (messages) => void batches.push(messages.map(({ body }) => body)),
        )
        await stage.until('all are in hand', () => consumer.stats().inFlight === 3)
        assert.deepEqual(batches, [])
        const { handled } = await stage.within('stop', 10_000, consumer.stop())
        assert.equal(handled, 3)
        assert.deepEqual(batches.flat().sort(), [1, 2, 3])
      },
    },
    {
      id: 'handling.stop-has-a-deadline',
      says: 'stop returns at its deadline though a handler hangs, tells it by its signal, and its message comes again',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, () => new Promise<undefined>(() => {}))
        await one.producer().send(orders, 'x')
        const consumer = await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(1)
        await stage.within('stop', 8_000, consumer.stop({ drainMs: 50 }))
        assert.equal(seen.all[0]?.signal.aborted, true)
        const again = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, again.handler)
        await again.reached(1)
      },
    },
    {
      id: 'handling.signal-stops',
      says: 'a consumer whose signal fires stops',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const stop = new AbortController()
        const seen = calls<number>(stage)
        const consumer = await one.consume(orders, { group: 'g', signal: stop.signal }, seen.handler)
        stop.abort()
        await stage.within('the end', 10_000, consumer.done)
        await one.producer().send(orders, 1)
        await seen.noMore()
      },
    },
  ],
}
