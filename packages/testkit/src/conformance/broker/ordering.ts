import assert from 'node:assert/strict'
import { fixed, pattern, retry } from '@posthorn/core'
import { broker, calls, letters, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Groups, order, and what a failure does to it. */
export const ordering: Chapter = {
  name: 'groups and order',
  layer: 'broker',
  scenarios: [
    {
      id: 'grouping.required',
      says: 'a group is required unless the mode is broadcast',
      run: async (stage) => {
        const one = await broker(stage)
        await refused('invalid', () => one.consume(topicFor<number>(stage), {} as never, async () => {}), /group/)
        await one.consume(topicFor<number>(stage), { mode: 'broadcast' }, async () => {})
      },
    },
    {
      id: 'grouping.competing',
      says: 'members of a group on two connections share the work; every message is handled once',
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const orders = topicFor<number>(stage)
        const [a, b] = [calls<number>(stage), calls<number>(stage)]
        await one.consume(orders, { group: 'g', order: 'none' }, a.handler)
        await two.consume(orders, { group: 'g', order: 'none' }, b.handler)
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 60 }, (_, body) => ({ body })),
        )
        await stage.until('all are handled', () => a.all.length + b.all.length >= 60)
        assert.equal(new Set([...a.bodies, ...b.bodies]).size, 60)
        assert.equal(a.all.length + b.all.length, 60)
      },
    },
    {
      id: 'grouping.every-group',
      says: 'each group handles every message',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { groups: ['a', 'b'] })
        const [a, b] = [calls<number>(stage), calls<number>(stage)]
        await one.consume(orders, { group: 'a' }, a.handler)
        await one.consume(orders, { group: 'b' }, b.handler)
        await one.producer().sendBatch(orders, [{ body: 1 }, { body: 2 }])
        await a.reached(2)
        await b.reached(2)
      },
    },
    {
      id: 'grouping.rule-22-broadcast',
      says: 'rule 22: in broadcast every instance handles every message that is sent while it is there',
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const news = topicFor<number>(stage)
        const [a, b] = [calls<number>(stage), calls<number>(stage)]
        await one.consume(news, { mode: 'broadcast', from: 'latest' }, a.handler)
        await two.consume(news, { mode: 'broadcast', from: 'latest' }, b.handler)
        await one.producer().sendBatch(news, [{ body: 1 }, { body: 2 }, { body: 3 }])
        await a.reached(3)
        await b.reached(3)
      },
    },
    {
      id: 'grouping.rule-22-more-is-refused',
      says: 'rule 22: broadcast with a guarantee across reconnects is refused where queues go with their reader',
      needs: ['no history'],
      run: async (stage) => {
        const one = await broker(stage)
        await refused('unsupported', () =>
          one.consume(topicFor<number>(stage), { mode: 'broadcast', guarantee: 'at-least-once' }, async () => {}),
        )
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await one.consume(topicFor<number>(stage), { mode: 'broadcast', guarantee: 'at-least-once' }, async () => {})
      },
    },
    {
      id: 'grouping.rule-15-from',
      says: 'rule 15: a new group starts at the earliest by default; at the latest it sees only what comes then',
      needs: ['history'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { groups: [] })
        await one.producer().send(orders, 'before')
        const [early, late] = [calls<string>(stage), calls<string>(stage)]
        await one.consume(orders, { group: 'early' }, early.handler)
        await one.consume(orders, { group: 'late', from: 'latest' }, late.handler)
        await one.producer().send(orders, 'after')
        await early.reached(2)
        await late.reached(1)
        assert.deepEqual(late.bodies, ['after'])
      },
      refused: async (stage) => assert.equal(stage.traits.history, false),
    },
    {
      id: 'grouping.rule-20-agreement',
      says: 'rule 20: a member that reads its group in another order, or by another filter, is refused, with both values; how a filter is written does not matter',
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const orders = topicFor<string>(stage, { key: () => 'k', groups: [] })
        await one.consume(orders, { group: 'g', order: 'key' }, async () => {})
        await refused('invalid', () => two.consume(orders, { group: 'g', order: 'none' }, async () => {}), /key.*none/s)
        const sql = { sql: "price > 10 AND region = 'eu'" }
        const read = topicFor<string>(stage, { groups: [] })
        await one.consume(read, { group: 'g', filter: sql }, async () => {})
        await two.consume(read, { group: 'g', filter: { sql: "price>10  and region='eu'" } }, async () => {})
        const other = { tag: 'paid' }
        await refused(
          'invalid',
          () => two.consume(read, { group: 'g', filter: other }, async () => {}),
          /(?=.*price).*paid/s,
        )
        const headers = { region: 'eu', kind: 'a' }
        const named = topicFor<string>(stage, { groups: [{ name: 'g', filter: { headers } }] })
        await one.consume(named, { group: 'g', filter: { headers: { kind: 'a', region: 'eu' } } }, async () => {})
      },
    },
    {
      id: 'ordering.one-at-a-time',
      says: 'messages of a key are handled one at a time and in order, while keys run side by side',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<{ key: string; n: number }>(stage, { key: ({ key }) => key })
        const running = new Set<string>()
        const last = new Map<string, number>()
        let most = 0
        const seen = calls<{ key: string; n: number }>(stage, async ({ body: { key, n } }) => {
          assert.ok(!running.has(key), `${key} ran twice at once`)
          running.add(key)
          most = Math.max(most, running.size)
          assert.equal(n, (last.get(key) ?? -1) + 1, `${key} is out of order`)
          last.set(key, n)
          await new Promise((resolve) => setImmediate(resolve))
          running.delete(key)
          return undefined
        })
        await one.consume(orders, { group: 'g', concurrency: 8 }, seen.handler)
        const producer = one.producer()
        await Promise.all(
          Array.from({ length: 120 }, (_, n) => producer.send(orders, { key: `k${n % 12}`, n: Math.floor(n / 12) })),
        )
        await seen.reached(120)
        await stage.until('all have ended', () => running.size === 0)
        assert.equal(seen.all.length, 120, 'a handler failed and was run again')
        assert.ok(most > 1, 'keys did not run side by side')
      },
    },
    {
      id: 'ordering.across-members',
      says: 'with two members a key is handled in order, by one at a time',
      needs: ['order across processes'],
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const orders = topicFor<{ key: string; n: number }>(stage, { key: ({ key }) => key, partitions: 4 })
        const running = new Set<string>()
        const wrong: string[] = []
        const last = new Map<string, number>()
        const seen = calls<{ key: string; n: number }>(stage, async ({ body: { key, n } }) => {
          if (running.has(key)) wrong.push(`${key} ran twice at once`)
          running.add(key)
          if (n > (last.get(key) ?? -1) + 1) wrong.push(`${key}: ${n} came after ${last.get(key)}`)
          last.set(key, Math.max(n, last.get(key) ?? -1))
          await new Promise((resolve) => setTimeout(resolve, 1))
          running.delete(key)
          return undefined
        })
        await one.consume(orders, { group: 'g', concurrency: 4 }, seen.handler)
        await two.consume(orders, { group: 'g', concurrency: 4 }, seen.handler)
        const producer = one.producer()
        await Promise.all(
          Array.from({ length: 100 }, (_, n) => producer.send(orders, { key: `k${n % 10}`, n: Math.floor(n / 10) })),
        )
        await seen.reached(100)
        assert.deepEqual(wrong, [])
      },
      refused: async (stage) => assert.equal(stage.traits.order, 'process'),
    },
    {
      id: 'ordering.rule-19-skip',
      says: 'rule 19: a keyed message that fails is tried in its place; after its dead letter the key goes on',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { key: () => 'k' })
        const seen = calls<string>(stage, ({ body }) => {
          if (body === 'bad') throw new Error('no')
          return undefined
        })
        const producer = one.producer()
        for (const body of ['first', 'bad', 'last']) await producer.send(orders, body)
        await one.consume(orders, { group: 'g', use: [retry({ attempts: 3, backoff: fixed(10) })] }, seen.handler)
        await seen.reached(5)
        assert.deepEqual(seen.bodies, ['first', 'bad', 'bad', 'bad', 'last'])
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.equal(letter?.body, 'bad')
        assert.equal(letter?.key, 'k')
      },
    },
    {
      id: 'ordering.failing-under-load',
      says: 'while messages of many keys stream in, a failed one is passed by none of its key',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<{ key: string; n: number }>(stage, { key: ({ key }) => key, partitions: 4 })
        const done = new Map<string, number>()
        const wrong: string[] = []
        const seen = calls<{ key: string; n: number }>(stage, ({ body: { key, n }, attempt }) => {
          const next = (done.get(key) ?? -1) + 1
          if (n !== next) wrong.push(`${key}: ${n} was started when ${next} was next`)
          if (n % 2 === 0 && attempt === 1) throw new Error('once')
          done.set(key, n)
          return undefined
        })
        await one.consume(orders, { group: 'g', use: [retry({ attempts: 3, backoff: fixed(3) })] }, seen.handler)
        const producer = one.producer()
        // One after the other, so that a message is on its way to the consumer while an earlier one fails.
        await Promise.all(
          Array.from({ length: 10 }, async (_, k) => {
            for (let n = 0; n < 6; n++) await producer.send(orders, { key: `k${k}`, n })
          }),
        )
        await seen.reached(90)
        assert.deepEqual(wrong, [])
      },
    },
    {
      id: 'ordering.a-failing-key-holds-no-other',
      says: 'a key that waits for its next try does not hold up another key',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { key: (body) => body.slice(0, 1) })
        const seen = calls<string>(stage, ({ body, attempt }) => {
          // Until the other key has come, however long its broker takes for that.
          if (body === 'a1' && (attempt === 1 || !seen.bodies.includes('b2'))) throw new Error('no')
          return undefined
        })
        const producer = one.producer()
        for (const body of ['a1', 'a2', 'b1', 'b2']) await producer.send(orders, body)
        await one.consume(orders, { group: 'g', use: [retry({ attempts: 20, backoff: fixed(200) })] }, seen.handler)
        await stage.until('a2 is handled', () => seen.bodies.includes('a2'))
        const order = seen.bodies
        assert.ok(order.includes('b2') && order.indexOf('b2') < order.lastIndexOf('a1'), `${order}`)
        assert.ok(order.lastIndexOf('a1') < order.indexOf('a2'), `${order}`)
      },
    },
    {
      id: 'ordering.rule-19-block',
      says: "rule 19: with onFailure 'block' a message is tried until it succeeds, and its key waits",
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { key: () => 'k' })
        const seen = calls<string>(stage, ({ body }, nth) => {
          if (body === 'a' && nth < 6) throw new Error('not yet')
          return undefined
        })
        await one.producer().sendBatch(orders, [{ body: 'a' }, { body: 'b' }])
        await one.consume(
          orders,
          { group: 'g', onFailure: 'block', use: [retry({ attempts: 2, backoff: fixed(5) })] },
          seen.handler,
        )
        await seen.reached(7)
        assert.deepEqual(seen.bodies, ['a', 'a', 'a', 'a', 'a', 'a', 'b'])
      },
    },
    {
      id: 'ordering.park-needs-a-store',
      says: "onFailure 'park' is refused without a store that holds messages",
      run: async (stage) => {
        if (stage.harness.parts?.openKeeper !== undefined) return
        const one = await broker(stage)
        await refused(
          'unsupported',
          () =>
            one.consume(topicFor<string>(stage, { key: () => 'k' }), { group: 'g', onFailure: 'park' }, async () => {}),
          /store/,
        )
      },
    },
    {
      id: 'ordering.rule-20-one-lane',
      says: "rule 20: order 'topic' over a topic of several partitions, or over a pattern, is refused at start, whatever the broker could do",
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { partitions: 4, key: (n) => `k${n % 3}` })
        const over = { group: 'g', order: 'topic' } as const
        await refused('invalid', () => one.consume(orders, over, async () => {}), /one partition, and topic .* has 4/)
        await refused('invalid', () => one.pull(orders, over), /partitions: 1/)
        await refused('invalid', () => one.explain(orders, over), /order 'key'/)
        await refused('unsupported', () => one.consume(pattern('a.*'), over, async () => {}), /pattern\('a\.\*'\)/)
      },
    },
    {
      id: 'ordering.whole-topic',
      says: "with order 'topic' one message of the whole topic is handled at a time, in order",
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, {
          partitions: 1,
          key: (n) => `k${n % 3}`,
          groups: [{ name: 'g', order: 'topic' }],
        })
        let running = 0
        const seen = calls<number>(stage, async () => {
          assert.equal(++running, 1)
          await new Promise((resolve) => setImmediate(resolve))
          running--
          return undefined
        })
        const producer = one.producer()
        for (let n = 0; n < 20; n++) await producer.send(orders, n)
        await one.consume(orders, { group: 'g', order: 'topic' }, seen.handler)
        await seen.reached(20)
        assert.deepEqual(
          seen.bodies,
          Array.from({ length: 20 }, (_, n) => n),
        )
      },
    },
  ],
}
