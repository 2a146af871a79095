import assert from 'node:assert/strict'
import type { Arrival } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'
import { bodies, type Member, type Stage } from '../stage.ts'

/** Order by key, within and across processes. */
export const order: Chapter = {
  name: 'order',
  layer: 'seam',
  scenarios: [
    {
      id: 'order.two-members',
      says: 'two members take turns with keys: a key is in one hand at a time, and its messages in order',
      needs: ['order across processes'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 4 })
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        const members = [
          await stage.open(driver, topic, { window: 10 }),
          await stage.open(other, topic, { window: 10 }),
        ]
        const keys = 8
        const each = 12
        await stage.send(
          driver,
          stage.messages(topic, keys * each, (n) => ({ key: `k${n % keys}` })),
        )
        await watchOrder(stage, members, keys * each)
      },
      refused: async (stage) => assert.equal(stage.traits.order, 'process'),
    },
    {
      id: 'order.one-member',
      says: 'one member gets the messages of every key in order',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 4 })
        await stage.send(
          driver,
          stage.messages(topic, 60, (n) => ({ key: `k${n % 6}` })),
        )
        await watchOrder(stage, [await stage.open(driver, topic)], 60)
      },
    },
    {
      id: 'order.hand-over',
      says: 'a key goes to another member only when its holder has gone, and then from the first unsettled message on',
      needs: ['order across processes'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        const [a, b] = [await stage.open(driver, topic), await stage.open(other, topic)]
        await stage.send(
          driver,
          stage.messages(topic, 6, () => ({ key: 'k' })),
        )
        const { holder, waiter, held } = await first(stage, a, b)
        await waiter.nothing()
        await holder.ack(held.slice(0, 1))
        await holder.close()
        const rest = await waiter.eat(5)
        assert.equal(bodies(rest), '1 2 3 4 5')
      },
      refused: async (stage) => assert.equal(stage.traits.order, 'process'),
    },
    {
      id: 'order.redelivered',
      says: 'what comes back of a key comes back in order, before what was not delivered yet',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 8, () => ({ key: 'k' })),
        )
        const member = await stage.open(driver, topic, { window: 4 })
        await member.some(4)
        await member.close()
        const again = await (await stage.open(driver, topic)).eat(8)
        assert.equal(bodies(again), '0 1 2 3 4 5 6 7')
      },
    },
    {
      id: 'order.handed-back',
      says: 'a key whose messages are handed back, last first, comes again in order',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 4, () => ({ key: 'k' })),
        )
        const member = await stage.open(driver, topic)
        const held = await member.hold(4)
        await member.nack([...held].reverse())
        assert.equal(bodies(await member.eat(4)), '0 1 2 3')
      },
    },
    {
      id: 'order.keys-in-parallel',
      says: 'an unsettled key does not hold up another',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 2 })
        const member = await stage.open(driver, topic)
        await stage.send(driver, [stage.message(topic, { key: 'a' })])
        await member.hold(1)
        await stage.send(
          driver,
          stage.messages(topic, 6, (n) => ({ key: `b${n}` })),
        )
        assert.equal((await member.hold(6)).length, 6)
      },
    },
    {
      id: 'order.whole-topic',
      says: "with order 'topic' all of it comes in the order in which it was sent",
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'topic' }, partitions: 1 })
        const sent = stage.messages(topic, 25, (n) => ({ key: `k${n}` }))
        await stage.send(driver, sent)
        assert.equal(bodies(await (await stage.open(driver, topic)).eat(25)), bodies(sent))
      },
    },
    {
      id: 'order.without-keys',
      says: 'messages without a key are delivered under order by key, too',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        await stage.send(
          driver,
          stage.messages(topic, 10, (n) => ({ key: n % 2 === 0 ? undefined : 'k' })),
        )
        assert.equal((await (await stage.open(driver, topic)).eat(10)).length, 10)
      },
    },
    {
      id: 'order.fence-rises',
      says: 'where deliveries are fenced, the fence of a key rises with each hand-over',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(driver, [stage.message(topic, { key: 'k' })])
        let last: bigint | undefined
        for (let n = 0; n < 3; n++) {
          const member = await stage.open(driver, topic)
          const [held] = await member.hold(1)
          if (held?.fence === undefined) return
          assert.ok(last === undefined || held.fence > last, `${held.fence} after ${last}`)
          last = held.fence
          await member.close()
        }
      },
    },
  ],
}

async function first(
  stage: Stage,
  a: Member,
  b: Member,
): Promise<{ holder: Member; waiter: Member; held: readonly Arrival[] }> {
  const stopA = new AbortController()
  const stopB = new AbortController()
  const [ofA, ofB] = await stage.within(
    'the first receive',
    stage.patienceMs,
    Promise.all([
      a.receive(6, stopA.signal).then((got) => {
        stopB.abort()
        return got
      }),
      b.receive(6, stopB.signal).then((got) => {
        stopA.abort()
        return got
      }),
    ]),
  )
  assert.ok(ofA.length === 0 || ofB.length === 0, 'a key was in two hands at once')
  return ofA.length > 0 ? { holder: a, waiter: b, held: ofA } : { holder: b, waiter: a, held: ofB }
}

/** Reads by all members at once and checks, per key, that it is in one hand only and in order. What was taken back does not count. */
async function watchOrder(stage: Stage, members: readonly Member[], count: number): Promise<void> {
  const seen = new Map<string, number[]>()
  const hands = new Map<string, { readonly member: Member; count: number }>()
  let total = 0
  const end = performance.now() + stage.patienceMs
  await Promise.all(
    members.map(async (member) => {
      while (total < count) {
        if (performance.now() > end) assert.fail(`${total} of ${count} came within ${stage.patienceMs} ms`)
        const got = await member.receive(7, AbortSignal.timeout(50))
        for (const arrival of got) {
          const key = arrival.key ?? ''
          const hand = hands.get(key)
          if (arrival.lost?.reason !== undefined) continue
          assert.ok(hand === undefined || hand.member === member, `${key} was in two hands at once`)
          if (hand === undefined) hands.set(key, { member, count: 1 })
          else hand.count++
        }
        // Room for the other to overtake, if it can.
        await new Promise((resolve) => setImmediate(resolve))
        for (const arrival of got) {
          // From here on the key may go to another.
          const hand = hands.get(arrival.key ?? '')
          if (hand?.member === member && --hand.count === 0) hands.delete(arrival.key ?? '')
          const [answer] = await member.settle([{ token: arrival.token, verdict: 'ack' }])
          if (answer !== 'ok') continue
          const list = seen.get(arrival.key ?? '') ?? []
          seen.set(arrival.key ?? '', list)
          list.push(Number(Buffer.from(arrival.body).toString()))
          total++
        }
      }
    }),
  )
  for (const [key, numbers] of seen)
    assert.deepEqual(
      numbers,
      [...numbers].sort((x, y) => x - y),
      `${key} is out of order`,
    )
}
