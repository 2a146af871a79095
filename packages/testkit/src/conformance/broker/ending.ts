import assert from 'node:assert/strict'
import { isMessagingError } from '@posthorn/core'
import { memory } from '@posthorn/memory'
import { broker, calls, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Close, health, lag, explain. */
export const ending: Chapter = {
  name: 'operating and closing',
  layer: 'broker',
  scenarios: [
    {
      id: 'ending.close-drains',
      says: 'close lets handlers finish, flushes producers, and may be called twice',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        let done = 0
        const seen = calls<number>(stage, async () => {
          await new Promise((resolve) => setTimeout(resolve, 50))
          done++
          return undefined
        })
        await one.consume(orders, { group: 'g', concurrency: 4, order: 'none' }, seen.handler)
        await one.producer().sendBatch(orders, [{ body: 1 }, { body: 2 }])
        await seen.reached(2)
        await stage.within('close', 10_000, Promise.all([one.close(), one.close()]))
        assert.equal(done, 2)
        const two = await broker(stage)
        const again = calls<number>(stage)
        await two.consume(orders, { group: 'g' }, again.handler)
        await again.noMore()
      },
    },
    {
      id: 'ending.used-again',
      says: 'a closed broker refuses every call as closed',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer()
        await producer.send(orders, 1)
        await one.close()
        await refused('closed', () => producer.send(orders, 2))
        await refused('closed', () => one.producer())
        await refused('closed', () => one.consume(orders, { group: 'g' }, async () => {}))
        await refused('closed', () => one.request(orders, 1, { timeoutMs: 50 }))
        await refused('aborted', () => broker(stage, { signal: AbortSignal.abort() }))
      },
    },
    {
      id: 'ending.sends-settle',
      says: 'every send that was under way at close settles',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer()
        const sends = Array.from({ length: 50 }, (_, n) =>
          producer.send(orders, n).then(
            () => true,
            (error: unknown) => {
              assert.ok(isMessagingError(error), String(error))
              return false
            },
          ),
        )
        await stage.within('close', 12_000, one.close())
        const settled = await stage.within('the sends', 12_000, Promise.all(sends))
        assert.equal(settled.length, 50)
      },
    },
    {
      id: 'ending.forgotten-producers',
      says: 'what was posted by producers that nobody holds any more is sent before the broker closes',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        for (let n = 0; n < 20; n++) one.producer({ lingerMs: 20 }).post(orders, n)
        await stage.within('close', 12_000, one.close())
        const two = await broker(stage)
        const seen = calls<number>(stage)
        await two.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(20)
      },
    },
    {
      id: 'ending.topics',
      says: 'topics are listed and deleted with all that hangs on them, used again after it, and not deleted while they are read or where others own them',
      needs: ['topics'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.producer().send(orders, 1)
        const seen = calls<number>(stage)
        const consumer = await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(1)
        assert.deepEqual(await one.topics.list(), [{ name: orders.name, partitions: 2, groups: ['g'] }])
        await consumer.stop()
        await one.producer().send(orders, 2)
        const careful = await broker(stage, { topology: 'check' })
        await refused('unsupported', () => careful.topics.delete(orders))
        assert.deepEqual(await one.topics.delete(orders), { name: orders.name, partitions: 2, groups: ['g'] })
        assert.deepEqual(await one.topics.list(), [])
        await refused('not-found', () => one.topics.delete(orders))
        await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 3)
        await seen.reached(2)
        await seen.noMore()
        assert.deepEqual(seen.bodies, [1, 3])
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await refused('unsupported', () => one.topics.list())
        await refused('unsupported', () => one.topics.delete(topicFor<number>(stage)))
      },
    },
    {
      id: 'ending.topics-again',
      says: 'a topic that was deleted is made again, with the groups that it names, by the next send: of the broker that deleted it at once, of another at the latest after one that was refused',
      needs: ['topics'],
      run: async (stage) => {
        const one = await broker(stage)
        const two = await broker(stage)
        const orders = topicFor<number>(stage, { groups: ['g'] })
        await one.producer().send(orders, 1)
        await two.producer().send(orders, 2)
        await one.topics.delete(orders)
        await one.producer().send(orders, 3)
        await one.topics.delete(orders)
        const fourth = await two
          .producer()
          .send(orders, 4)
          .then(
            () => [4],
            (error) => {
              assert.match(error.code, /^(unroutable|not-found)$/)
              return []
            },
          )
        await two.producer().send(orders, 5)
        await one.producer().send(orders, 6)
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(fourth.length + 2)
        await seen.noMore()
        assert.deepEqual(seen.bodies.toSorted(), [...fourth, 5, 6])
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await refused('unsupported', () => one.topics.delete(topicFor<number>(stage)))
      },
    },
    {
      id: 'ending.scope',
      says: '`await using` closes the broker at the end of its scope',
      run: async (stage) => {
        const orders = topicFor<number>(stage)
        const kept: (() => unknown)[] = []
        {
          await using one = await broker(stage)
          const producer = one.producer()
          await producer.send(orders, 1)
          kept.push(() => producer.send(orders, 2))
        }
        await refused('closed', () => kept[0]?.())
      },
    },
    {
      id: 'ending.health',
      says: 'health is ok while messages flow, and names its consumers',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.consume(orders, { group: 'g' }, async () => {})
        const health = await one.health()
        assert.equal(health.ok, true, JSON.stringify(health))
        assert.ok(health.checks.some(({ name }) => name.includes(orders.name)))
      },
    },
    {
      id: 'ending.lag',
      says: 'lag is what waits: it rises with what is sent and is 0 when all is handled',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const consumer = await one.consume(orders, { group: 'g' }, async () => {})
        await consumer.stop()
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 7 }, (_, body) => ({ body })),
        )
        await stage.until('a lag of 7', async () => (await one.lag(orders, { group: 'g' })).backlog === 7)
        await one.consume(orders, { group: 'g' }, async () => {})
        await stage.until('no lag', async () => (await one.lag(orders, { group: 'g' })).backlog === 0)
      },
    },
    {
      id: 'ending.explain',
      says: 'explain tells how each promise is met, and refuses what consume would refuse',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { key: () => 'k' })
        const { promises } = await one.explain(orders, { group: 'g' })
        for (const promise of ['guarantee', 'dead letter'])
          assert.ok(
            promises.some((each) => each.promise === promise),
            `nothing on ${promise}`,
          )
        assert.ok(String(await one.explain(orders, { group: 'g' })).length > 100)
        await refused('invalid', () => one.explain(orders, {} as never))
      },
    },
    {
      id: 'ending.rule-24-scope',
      says: 'rule 24: a store that only this process sees is named at start, and promises of every machine are refused on it, unless the broker is seen by this process alone, too',
      run: async (stage) => {
        const lines: string[] = []
        const one = await broker(stage, { store: memory(), log: (line) => void lines.push(line) })
        const orders = topicFor<number>(stage)
        const wanted = { group: 'g', guarantee: 'exactly-once-effects' } as const
        const own = stage.plan.openStore === undefined ? undefined : (await broker(stage)).store
        if (own?.scope === 'process')
          return assert.deepEqual(lines, [], 'who sees the broker sees its store, and yet it was said')
        assert.ok(
          lines.some((line) => /store/.test(line) && /process/.test(line)),
          `nothing was said at start: ${lines}`,
        )
        await refused('unsupported', () => one.consume(orders, wanted, async () => {}), /process|transaction/)
        assert.match(String(await one.explain(orders, { group: 'g' })), /process/)
      },
    },
    {
      id: 'ending.having',
      says: 'having() gives the calls that the broker can, and undefined for what it cannot',
      run: async (stage) => {
        const one = await broker(stage)
        for (const need of ['replay', 'query'] as const)
          assert.equal(one.having(need) !== undefined, stage.capabilities[need])
        for (const need of ['replay', 'query'] as const) {
          const connecting = broker(stage, { needs: [need] } as never)
          if (stage.capabilities[need]) await connecting
          else await refused('unsupported', () => connecting)
        }
      },
    },
  ],
}
