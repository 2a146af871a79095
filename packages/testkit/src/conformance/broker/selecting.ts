import assert from 'node:assert/strict'
import { pattern, topic, Unrecoverable } from '@posthorn/core'
import { broker, calls, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Filters, patterns, replay, seek and query. */
export const selecting: Chapter = {
  name: 'filters, patterns, replay',
  layer: 'broker',
  scenarios: [
    {
      id: 'selecting.tag',
      says: 'a tag filter passes its tags and no others; what does not pass does not wait for the group',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { groups: [] })
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g', filter: { tag: 'paid || sent' } }, seen.handler)
        const producer = one.producer()
        await producer.send(orders, 1, { tag: 'paid' })
        await producer.send(orders, 2, { tag: 'open' })
        await producer.send(orders, 3)
        await producer.send(orders, 4, { tag: 'sent' })
        await seen.reached(2)
        await seen.noMore()
        assert.deepEqual([...seen.bodies].sort(), [1, 4])
        await stage.until('nothing waits', async () => (await one.lag(orders, { group: 'g' })).backlog === 0)
      },
    },
    {
      id: 'selecting.headers',
      says: 'a header filter wants every header that it names, with that value',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { groups: [] })
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g', filter: { headers: { region: 'eu', kind: 'a' } } }, seen.handler)
        const producer = one.producer()
        await producer.send(orders, 1, { headers: { region: 'eu', kind: 'a', more: 'x' } })
        await producer.send(orders, 2, { headers: { region: 'eu' } })
        await producer.send(orders, 3, { headers: { region: 'us', kind: 'a' } })
        await seen.reached(1)
        await seen.noMore()
        assert.deepEqual(seen.bodies, [1])
      },
    },
    {
      id: 'selecting.sql',
      says: 'an SQL filter reads headers, as numbers where the other side is one; what is unknown does not pass',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { groups: [] })
        const seen = calls<number>(stage)
        await one.consume(
          orders,
          { group: 'g', filter: { sql: "price BETWEEN 5 AND 100 AND (region IN ('eu', 'us') OR region LIKE 'a%')" } },
          seen.handler,
        )
        const producer = one.producer()
        await producer.send(orders, 1, { headers: { price: '9.5', region: 'eu' } })
        await producer.send(orders, 2, { headers: { price: '1000', region: 'eu' } })
        await producer.send(orders, 3, { headers: { region: 'eu' } })
        await producer.send(orders, 4, { headers: { price: '10', region: 'asia' } })
        await producer.send(orders, 5, { headers: { price: '10', region: 'mars' } })
        await seen.reached(2)
        await seen.noMore()
        assert.deepEqual([...seen.bodies].sort(), [1, 4])
      },
    },
    {
      id: 'selecting.bad-filter',
      says: 'a filter that cannot be read is refused when it is given, not when a message comes',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await refused('invalid', () => one.consume(orders, { group: 'g', filter: { sql: 'price >' } }, async () => {}))
        await refused('invalid', () => one.consume(orders, { group: 'g', filter: {} as never }, async () => {}))
      },
    },
    {
      id: 'selecting.pattern',
      says: 'a pattern reads the topics that it covers, also those that come later, and tells each message’s topic',
      needs: ['pattern'],
      run: async (stage) => {
        const one = await broker(stage)
        const eu = topic<number>('shop.eu', { groups: ['g'] })
        const later = topic<number>('shop.us', { groups: ['g'] })
        const deep = topic<number>('shop.eu.north', { groups: ['g'] })
        const producer = one.producer()
        await producer.send(eu, 0)
        const seen = calls<number>(stage)
        await one.consume(pattern<number>('shop.*'), { group: 'all', from: 'latest' }, seen.handler)
        await producer.send(eu, 1)
        await producer.send(deep, 2)
        await producer.send(later, 3)
        await seen.reached(2)
        const read = seen.all.filter(({ body }) => body > 0).map(({ topic: name, body }) => `${name} ${body}`)
        await stage.until('both topics are read', () => seen.all.some(({ topic: name }) => name === 'shop.us'))
        assert.ok(read.includes('shop.eu 1'))
        assert.ok(!seen.all.some(({ topic: name }) => name === 'shop.eu.north'))
      },
      refused: async (stage) => {
        const one = await broker(stage)
        await refused('unsupported', () => one.consume(pattern('shop.*'), { group: 'all' }, async () => {}))
      },
    },
    {
      id: 'selecting.replay',
      says: 'a replay handles history once, flagged, apart from every group, and says how much it was',
      needs: ['replay'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { partitions: 1, key: () => 'k' })
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const producer = one.producer()
        for (let n = 0; n < 8; n++) await producer.send(orders, n)
        await seen.reached(8)
        const again = calls<number>(stage)
        const replaying = one.having('replay')
        assert.ok(replaying !== undefined)
        const replay = await replaying.replay(orders, { from: 'earliest', order: 'key' }, again.handler)
        const { handled } = await stage.within('the replay', stage.patienceMs, replay.done)
        assert.equal(handled, 8)
        assert.deepEqual(again.bodies, [0, 1, 2, 3, 4, 5, 6, 7])
        assert.ok(again.all.every(({ replay: flag }) => flag))
        await seen.noMore()
        assert.equal(seen.all.length, 8)
      },
      refused: hasNoReplay,
    },
    {
      id: 'selecting.replay-fails',
      says: 'a replay whose handler fails for good ends with that error',
      needs: ['replay'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.producer().send(orders, 1)
        const replay = await one.having('replay')?.replay(orders, { from: 'earliest' }, async () => {
          throw new Unrecoverable('cannot')
        })
        assert.ok(replay !== undefined)
        await stage.within('the replay', stage.patienceMs, assert.rejects(replay.done, /cannot/))
      },
      refused: hasNoReplay,
    },
    {
      id: 'selecting.seek',
      says: 'a consumer that seeks to the earliest handles again what it had handled',
      needs: ['replay'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const seen = calls<number>(stage)
        const consumer = await one.having('replay')?.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().sendBatch(orders, [{ body: 1 }, { body: 2 }])
        await seen.reached(2)
        await consumer?.seek('earliest')
        await seen.reached(4)
        assert.deepEqual([...seen.bodies].sort(), [1, 1, 2, 2])
        await consumer?.pause()
        await consumer?.seek('earliest')
        await consumer?.resume()
        await seen.reached(6)
        await seen.noMore()
      },
      refused: hasNoReplay,
    },
    {
      id: 'selecting.query',
      says: 'stored messages are found by id and by key, decoded',
      needs: ['query'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<{ n: number }>(stage)
        const { id } = await one.producer().send(orders, { n: 1 }, { key: 'a', headers: { h: 'x' } })
        await one.producer().send(orders, { n: 2 }, { key: 'b' })
        const asking = one.having('query')
        assert.ok(asking !== undefined)
        const find = async (where: { id?: string; key?: string }): Promise<number[]> => {
          const found: number[] = []
          for await (const each of asking.query(orders, where)) found.push(each.body.n)
          return found
        }
        assert.deepEqual(await find({ id }), [1])
        assert.deepEqual(await find({ key: 'b' }), [2])
        assert.deepEqual((await find({})).sort(), [1, 2])
      },
      refused: async (stage) => {
        const one = await broker(stage)
        assert.equal(one.having('query'), undefined)
      },
    },
  ],
}

async function hasNoReplay(stage: Parameters<typeof broker>[0]): Promise<void> {
  const one = await broker(stage)
  assert.equal(one.having('replay'), undefined)
}
