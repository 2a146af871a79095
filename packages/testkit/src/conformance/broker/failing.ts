import assert from 'node:assert/strict'
import { fixed, nack, reject, retry, Unrecoverable } from '@posthorn/core'
import { broker, calls, driverFor, letters, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

const quick = (attempts: number) => retry({ attempts, backoff: fixed(10) })
const no = (): never => {
  throw new Error('no')
}

/** Retry and dead letters. */
export const failing: Chapter = {
  name: 'retry and dead letter',
  layer: 'broker',
  scenarios: [
    {
      id: 'failing.attempts',
      says: 'a handler that fails is tried as often as retry() says, with attempts 1, 2, 3, then its message is a dead letter',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, no)
        await one.consume(orders, { group: 'g', use: [quick(3)] }, seen.handler)
        const { id } = await one.producer().send(orders, 'x', { key: 'k', headers: { a: '1' } })
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.deepEqual(
          seen.all.map(({ attempt }) => attempt),
          [1, 2, 3],
        )
        assert.equal(letter?.id, id)
        assert.equal(letter?.topic, orders.name)
        assert.equal(letter?.group, 'g')
        assert.equal(letter?.reason, 'attempts')
        assert.equal(letter?.attempts, 3)
        assert.match(letter?.error ?? '', /no/)
        assert.equal(letter?.history.length, 3)
        assert.equal(letter?.body, 'x')
        assert.equal(letter?.key, 'k')
        assert.equal(letter?.headers['a'], '1')
        await seen.noMore()
      },
    },
    {
      id: 'failing.recovers',
      says: 'a handler that succeeds at its third try leaves no dead letter and is not called again',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, ({ attempt }) => (attempt < 3 ? no() : undefined))
        await one.consume(orders, { group: 'g', use: [quick(5)] }, seen.handler)
        await one.producer().send(orders, 'x')
        await seen.reached(3)
        await seen.noMore()
        assert.equal((await letters(stage, one.deadLetters(orders, { group: 'g' }), 0)).length, 0)
      },
    },
    {
      id: 'failing.default',
      says: 'without retry() a failing handler is tried again after a pause, not in a tight loop',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, ({ attempt }) => (attempt < 2 ? no() : undefined))
        await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 'x')
        await seen.reached(2)
        await seen.noMore()
      },
    },
    {
      id: 'failing.reject',
      says: 'reject() makes a dead letter at once, with its reason as the error',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, () => reject('no such customer'))
        await one.consume(orders, { group: 'g', use: [quick(5)] }, seen.handler)
        await one.producer().send(orders, 'x')
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.equal(letter?.reason, 'rejected')
        assert.equal(letter?.error, 'no such customer')
        assert.equal(seen.all.length, 1)
      },
    },
    {
      id: 'failing.unrecoverable',
      says: 'what throws Unrecoverable, or what retry({ when }) does not want, is not tried again',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, ({ body }) => {
          if (body === 'a') throw new Unrecoverable('never')
          throw new TypeError('a bug')
        })
        await one.consume(
          orders,
          {
            group: 'g',
            order: 'none',
            use: [retry({ attempts: 5, backoff: fixed(5), when: (error) => !(error instanceof TypeError) })],
          },
          seen.handler,
        )
        await one.producer().sendBatch(orders, [{ body: 'a' }, { body: 'b' }])
        const found = await letters(stage, one.deadLetters(orders, { group: 'g' }), 2)
        assert.equal(seen.all.length, 2)
        assert.deepEqual(
          found.map(({ reason }) => reason),
          ['rejected', 'rejected'],
        )
      },
    },
    {
      id: 'failing.nack-not-early',
      says: 'a message that was handed back for a time comes again, not early, with its try counted',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const times: number[] = []
        const seen = calls<string>(stage, (_, nth) => {
          times.push(stage.now())
          return nth === 1 ? nack({ afterMs: 250 }) : undefined
        })
        await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 'x')
        await seen.reached(2)
        assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 245, `${times}`)
        assert.equal(seen.all[1]?.attempt, 2)
      },
    },
    {
      id: 'failing.rule-6-one-group',
      says: 'rule 6: a retry of one group is not seen by another',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { groups: ['a', 'b'] })
        const [a, b] = [calls<string>(stage, ({ attempt }) => (attempt < 3 ? no() : undefined)), calls<string>(stage)]
        await one.consume(orders, { group: 'a', use: [quick(5)] }, a.handler)
        await one.consume(orders, { group: 'b' }, b.handler)
        await one.producer().send(orders, 'x')
        await a.reached(3)
        await b.reached(1)
        await b.noMore()
        assert.equal(b.all.length, 1)
      },
    },
    {
      id: 'failing.spares-its-neighbours',
      says: 'a message that fails costs no other message a try',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const seen = calls<number>(stage, ({ body }) => (body === 3 ? no() : undefined))
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 10 }, (_, body) => ({ body })),
        )
        await one.consume(orders, { group: 'g', use: [quick(3)], order: 'none' }, seen.handler)
        await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        await seen.reached(12)
        await seen.noMore()
        for (const { body, attempt } of seen.all) if (body !== 3) assert.equal(attempt, 1)
      },
    },
    {
      id: 'failing.undecodable',
      says: 'a body that cannot be read is a dead letter with its raw bytes, and never goes round and round',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const driver = await driverFor(stage, orders)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const raw = Buffer.from([0x7b, 0xff, 0x00, 0x22])
        await stage.send(driver, [stage.message(orders.name, { body: raw, contentType: 'application/json' })])
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.equal(letter?.reason, 'undecodable')
        assert.equal(letter?.body, undefined)
        assert.deepEqual(Buffer.from(letter?.raw ?? []), raw)
        assert.equal(seen.all.length, 0)
        await one.producer().send(orders, 'fine')
        await seen.reached(1)
      },
    },
    {
      id: 'failing.tries-survive',
      says: 'rule 14: tries that failed are remembered when another process goes on',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage, no)
        const consumer = await one.consume(
          orders,
          { group: 'g', use: [retry({ attempts: 9, backoff: fixed(150) })], order: 'none' },
          seen.handler,
        )
        await one.producer().send(orders, 'x')
        await seen.reached(2)
        await consumer.stop()
        await one.close()
        const two = await broker(stage)
        const again = calls<string>(stage)
        await two.consume(orders, { group: 'g' }, again.handler)
        await again.reached(1)
        assert.ok((again.all[0]?.attempt ?? 0) >= 2, `attempt ${again.all[0]?.attempt}`)
      },
    },
    {
      id: 'letters.rule-5-redrive',
      says: 'rules 5 and 6: redriving sends a letter to its group alone, under its id, and takes it from the shelf',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage, { groups: ['a', 'b'] })
        let broken = true
        const a = calls<string>(stage, () => (broken ? reject('broken') : undefined))
        const b = calls<string>(stage)
        await one.consume(orders, { group: 'a' }, a.handler)
        await one.consume(orders, { group: 'b' }, b.handler)
        const { id } = await one.producer().send(orders, 'x', { key: 'k' })
        const dead = one.deadLetters(orders, { group: 'a' })
        await letters(stage, dead, 1)
        broken = false
        assert.deepEqual(await dead.redrive({ dryRun: true }), { matched: 1, redriven: 0, failed: 0 })
        assert.deepEqual(await dead.redrive(), { matched: 1, redriven: 1, failed: 0 })
        await a.reached(2)
        assert.equal(a.all[1]?.id, id)
        assert.equal(a.all[1]?.attempt, 1)
        assert.equal(a.all[1]?.key, 'k')
        await stage.until('the shelf is empty', async () => (await letters(stage, dead, 0)).length === 0)
        await b.noMore()
        assert.equal(b.all.length, 1)
      },
    },
    {
      id: 'letters.where',
      says: 'letters are chosen by a condition, to redrive and to discard',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        let broken = true
        const seen = calls<number>(stage, () => (broken ? reject('broken') : undefined))
        await one.consume(orders, { group: 'g', order: 'none' }, seen.handler)
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 6 }, (_, body) => ({ body })),
        )
        const dead = one.deadLetters(orders, { group: 'g' })
        await letters(stage, dead, 6)
        broken = false
        const { discarded } = await dead.discard({ where: ({ body }) => (body ?? 0) < 2 })
        assert.equal(discarded, 2)
        const redrive = await dead.redrive({ where: ({ body }) => body === 4 || body === 5 })
        assert.equal(redrive.redriven, 2)
        await seen.reached(8)
        await stage.until('two are left', async () => {
          const rest = await letters(stage, dead, 0)
          return (
            rest
              .map(({ body }) => body)
              .sort()
              .join() === '2,3'
          )
        })
      },
    },
    {
      id: 'letters.order',
      says: 'letters of a key are redriven in the order in which they failed',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { key: () => 'k' })
        let broken = true
        const seen = calls<number>(stage, () => (broken ? reject('broken') : undefined))
        await one.consume(orders, { group: 'g' }, seen.handler)
        const producer = one.producer()
        for (let n = 0; n < 5; n++) await producer.send(orders, n)
        const dead = one.deadLetters(orders, { group: 'g' })
        await letters(stage, dead, 5)
        broken = false
        await dead.redrive()
        await seen.reached(10)
        assert.deepEqual(seen.bodies.slice(5), [0, 1, 2, 3, 4])
      },
    },
    {
      id: 'letters.limit',
      says: 'a list may be limited, and what is listed stays',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.consume(orders, { group: 'g', order: 'none' }, async () => reject('no'))
        await one.producer().sendBatch(
          orders,
          Array.from({ length: 4 }, (_, body) => ({ body })),
        )
        const dead = one.deadLetters(orders, { group: 'g' })
        await letters(stage, dead, 4)
        let count = 0
        for await (const _ of dead.list({ limit: 2 })) count++
        assert.equal(count, 2)
        assert.equal((await letters(stage, dead, 4)).length, 4)
      },
    },
  ],
}
