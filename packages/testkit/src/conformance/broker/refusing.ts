import assert from 'node:assert/strict'
import { pattern, retry, topic } from '@posthorn/core'
import { broker, calls, letters, refused, topicFor } from '../broker-stage.ts'
import { hostileBodies } from '../hostile-bodies.ts'
import type { Chapter } from '../scenario.ts'

const handler = async (): Promise<void> => {}

/** Bad input: refused by name, and nothing of it does harm. */
export const refusing: Chapter = {
  name: 'bad input',
  layer: 'broker',
  scenarios: [
    {
      id: 'refusing.topic-names',
      says: 'a topic name that no broker could carry is refused when it is made',
      run: async () => {
        for (const name of ['', 'a\nb', 'a\0b', 'a*', 'a.#', '~mine', 'x'.repeat(10_000), 42, undefined])
          await refused('invalid', () => topic(name as string))
        for (const name of ['', 'a.#.b', 'a.b*', '#x']) await refused('invalid', () => pattern(name))
      },
    },
    {
      id: 'refusing.group-names',
      says: 'a group name with wildcards, control characters or 10,000 characters is refused',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        for (const group of ['', 'a\nb', '*', 'x'.repeat(10_000), 7])
          await refused('invalid', () => one.consume(orders, { group: group as string }, handler))
      },
    },
    {
      id: 'refusing.options',
      says: 'options of the wrong type, unknown names and absurd numbers are refused by their name',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const bad: readonly [Record<string, unknown>, RegExp][] = [
          [{ concurrency: 0 }, /concurrency/],
          [{ concurrency: Number.NaN }, /concurrency/],
          [{ window: -1 }, /window/],
          [{ window: 2 ** 53 }, /window/],
          [{ order: 'sideways' }, /order/],
          [{ mode: 'loud' }, /mode/],
          [{ from: 'yesterday' }, /from/],
          [{ concurency: 3 }, /concurency/],
          [{ batch: { size: 0, waitMs: 1 } }, /size/],
          [{ use: 'retry' }, /use/],
          [{ guarantee: 'always' }, /guarantee/],
        ]
        for (const [options, names] of bad)
          await refused('invalid', () => one.consume(orders, { group: 'g', ...options } as never, handler), names)
        await refused('invalid', () => one.consume(orders, { group: 'g' }, undefined as never), /handler/)
        await refused('invalid', () => one.consume('orders' as never, { group: 'g' }, handler), /topic/)
      },
    },
    {
      id: 'refusing.send-options',
      says: 'a send with absurd numbers, bad ids, keys and headers is refused by name, and the producer goes on',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer()
        const bad: readonly [Record<string, unknown>, RegExp][] = [
          [{ delayMs: -1 }, /delayMs/],
          [{ delayMs: Number.NaN }, /delayMs/],
          [{ delayMs: 2 ** 60 }, /delayMs/],
          [{ deliverAt: new Date(Number.NaN) }, /deliverAt/],
          [{ expiresInMs: 0 }, /expiresInMs/],
          [{ priority: 10 }, /priority/],
          [{ priority: 1.5 }, /priority/],
          [{ partition: -1 }, /partition/],
          [{ partition: 999 }, /partition/],
          [{ id: '' }, /id/],
          [{ id: 'x'.repeat(10_000) }, /id/],
          [{ key: 7 }, /key/],
          [{ headers: { 'ph-id': 'mine' } }, /ph-id/],
          [{ headers: { a: 7 } }, /header/],
          [{ headers: { 'a\nb': '1' } }, /header/],
          [{ headers: { a: '\ud800' } }, /header/],
          [{ retries: 3 }, /retries/],
        ]
        for (const [options, names] of bad)
          await refused('invalid', () => producer.send(orders, 1, options as never), names)
        await producer.send(orders, 2)
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(1)
        await seen.noMore()
        assert.deepEqual(seen.bodies, [2])
      },
    },
    {
      id: 'refusing.extension-options',
      says: 'retry() with absurd numbers is refused by name',
      run: async () => {
        for (const attempts of [0, -1, 1.5, Number.NaN, 2 ** 53])
          await refused('invalid', () => retry({ attempts }), /attempts/)
      },
    },
    {
      id: 'refusing.hostile-bodies',
      says: 'bodies of every hostile kind arrive as they were, or are refused; nothing hangs and nothing is lost',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage, { key: () => 'k', partitions: 1 })
        const producer = one.producer()
        const kept: unknown[] = []
        for (const body of hostileBodies()) {
          const sent = await producer.send(orders, body).then(
            () => true,
            (error: { readonly code?: string }) => {
              assert.ok(['codec', 'too-large', 'invalid'].includes(error.code ?? ''), String(error))
              return false
            },
          )
          if (sent) kept.push(body)
        }
        assert.ok(kept.length >= 5)
        const seen = calls<unknown>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.reached(kept.length)
        for (const [n, body] of kept.entries())
          assert.equal(JSON.stringify(seen.bodies[n]), JSON.stringify(body), `body ${n}`)
        assert.equal(({} as { readonly polluted?: unknown }).polluted, undefined)
      },
    },
    {
      id: 'refusing.forged-counters',
      says: 'forged counters of a stranger cost at most its own message',
      run: async (stage) => {
        const one = await broker(stage)
        const driver = await stage.connect()
        const orders = topicFor<number>(stage, { partitions: 1, key: () => 'k' })
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await stage.send(driver, [
          stage.message(orders.name, { key: 'k', body: Buffer.from('1'), failures: 999_999 }),
          stage.message(orders.name, { key: 'k', body: Buffer.from('2'), lone: 999_999 }),
        ])
        await one.producer().send(orders, 3)
        await stage.until('the good one is handled', () => seen.bodies.includes(3))
        assert.equal(seen.all.find(({ body }) => body === 3)?.attempt, 1)
      },
    },
    {
      id: 'refusing.poison-marks',
      says: 'a message that was never settled when it ran alone, again and again, is a dead letter of reason poison',
      run: async (stage) => {
        const one = await broker(stage)
        const driver = await stage.connect()
        const orders = topicFor<number>(stage)
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await stage.send(driver, [stage.message(orders.name, { body: Buffer.from('1'), lone: 3 })])
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.equal(letter?.reason, 'poison')
        assert.equal(seen.all.length, 0)
      },
    },
  ],
}
