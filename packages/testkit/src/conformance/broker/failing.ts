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
      id: 'failing.nonsense-backoff',
      says: 'a back-off that throws or answers nonsense takes no try away and adds none: the message is a dead letter after its tries',
      run: async (stage) => {
        const one = await broker(stage)
        const nonsense: readonly (() => unknown)[] = [
          () => {
            throw new Error('no wait')
          },
          () => Number.NaN,
          () => Number.POSITIVE_INFINITY,
          () => '5',
          () => -5,
        ]
        await Promise.all(
          nonsense.map(async (backoff) => {
            const orders = topicFor<number>(stage)
            const seen = calls<number>(stage, () => {
              throw new Error('no')
            })
            const use = [retry({ attempts: 2, backoff: backoff as never })]
            await one.consume(orders, { group: 'g', use }, seen.handler)
            await one.producer().send(orders, 1)
            const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
            assert.equal(letter?.reason, 'attempts')
            assert.equal(seen.all.length, 2)
          }),
        )
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
  ],
}
