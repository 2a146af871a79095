import assert from 'node:assert/strict'
import { topic } from '@posthorn/core'
import { awkwardNames, awkwardTexts, refusedHeaders, refusedIds, refusedNames, refusedNumbers } from '../../hostile.ts'
import { hostileBodies, refusedValues } from '../../hostile-bodies.ts'
import { broker, calls, driverFor, letters, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

const handler = async (): Promise<void> => {}

/** Bad input: refused by name, and nothing of it does harm. */
export const refusing: Chapter = {
  name: 'bad input',
  layer: 'broker',
  scenarios: [
    {
      id: 'refusing.group-names',
      says: 'a group name with wildcards, control characters or 10,000 characters is refused',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        for (const { name, make } of refusedNames)
          await refused('invalid', () => one.consume(orders, { group: make() as string }, handler), /./, name)
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
      id: 'refusing.values',
      says: 'values that JSON cannot carry there and back are refused as codec before anything is sent',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage)
        const producer = one.producer()
        for (const { name, make } of refusedValues)
          await refused('codec', () => producer.send(orders, make()), /./, name)
        const seen = calls<unknown>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.noMore()
      },
    },
    {
      id: 'refusing.every-number',
      says: 'what is neither a time nor a count is refused by the name of its option, wherever one is asked for',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        for (const { name, make } of refusedNumbers) {
          for (const option of ['delayMs', 'expiresInMs', 'priority', 'partition'])
            await refused(
              'invalid',
              () => one.producer().send(orders, 1, { [option]: make() }),
              new RegExp(option),
              name,
            )
          await refused(
            'invalid',
            () => one.consume(orders, { group: 'g', window: make() as number }, handler),
            /window/,
            name,
          )
        }
      },
    },
    {
      id: 'refusing.ids-and-headers',
      says: 'ids and headers that no wire carries, or that are ours, are refused before anything is sent',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer()
        for (const { name, make } of refusedIds)
          await refused('invalid', () => producer.send(orders, 1, { id: make() as string }), /./, name)
        for (const { name, make } of refusedHeaders)
          await refused(/invalid|too-large/, () => producer.send(orders, 1, { headers: make() as never }), /./, name)
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await seen.noMore()
      },
    },
    {
      id: 'refusing.awkward-texts',
      says: 'awkward texts as header, key and tag come back letter by letter, or are refused as invalid',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer()
        const texts = awkwardTexts.map(({ make }) => make())
        const kept = new Set<number>()
        await Promise.all(
          texts.flatMap((text, n) =>
            [{ headers: { h: text } }, { key: text }, { tag: text }].map((options, place) =>
              producer.send(orders, n * 3 + place, options).then(
                () => kept.add(n * 3 + place),
                (error: { readonly code?: unknown }) =>
                  assert.match(String(error.code), /invalid|too-large/, String(error)),
              ),
            ),
          ),
        )
        assert.ok(kept.size > texts.length)
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g', order: 'none' }, seen.handler)
        await seen.reached(kept.size)
        for (const { body, headers, key, tag } of seen.all) {
          const got = [headers['h'], key, tag][body % 3]
          assert.equal(got, texts[Math.floor(body / 3)])
        }
      },
    },
    {
      id: 'refusing.awkward-names',
      says: 'topics whose names look like syntax are topics like others, each apart from the rest',
      run: async (stage) => {
        const one = await broker(stage)
        const topics = awkwardNames.flatMap(({ name, make }) => {
          try {
            return [topic<string>(make(), { groups: ['g'], partitions: 1 })]
          } catch (error) {
            assert.equal((error as { readonly code?: unknown }).code, 'invalid', name)
            return []
          }
        })
        assert.ok(topics.length > 10)
        const seen = calls<string>(stage)
        await Promise.all(
          topics.map(async (each) => {
            await one.producer().send(each, each.name)
            await one.consume(each, { group: 'g' }, seen.handler)
          }),
        )
        await seen.reached(topics.length)
        await seen.noMore()
        for (const { topic: name, body } of seen.all) assert.equal(body, name)
      },
    },
    {
      id: 'refusing.hostile-bodies',
      says: 'hostile bytes on the broker are each handled or a dead letter with their raw bytes; nothing hangs, nothing is lost',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<unknown>(stage, { key: () => 'k', partitions: 1 })
        const driver = await driverFor(stage, orders, 1)
        const seen = calls<unknown>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const sent = hostileBodies
          .map(({ make }) => stage.message(orders.name, { key: 'k', body: make() }))
          .filter(({ body }) => body.length <= Math.min(500_000, stage.traits.maxBytes))
        for (const each of sent) await stage.send(driver, [each])
        const dead = one.deadLetters(orders, { group: 'g' })
        const found = await stage.until('each is handled or a dead letter', async () => {
          const list = await letters(stage, dead, 0)
          return list.length + seen.all.length >= sent.length ? list : undefined
        })
        const originals = new Map(sent.map(({ id, body }) => [id, Buffer.from(body)]))
        for (const { id, reason, raw } of found) {
          assert.equal(reason, 'undecodable')
          assert.ok(originals.get(id)?.equals(raw), 'the raw bytes are not what was sent')
        }
        assert.equal(found.length + seen.all.length, sent.length)
        assert.equal(({} as { readonly polluted?: unknown }).polluted, undefined)
      },
    },
    {
      id: 'refusing.forged-counters',
      says: 'forged counters of a stranger cost at most its own message',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { partitions: 1, key: () => 'k' })
        const driver = await driverFor(stage, orders, 1)
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
        const orders = topicFor<number>(stage)
        const driver = await driverFor(stage, orders)
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await stage.send(driver, [stage.message(orders.name, { body: Buffer.from('1'), lone: 4 })])
        const [letter] = await letters(stage, one.deadLetters(orders, { group: 'g' }), 1)
        assert.equal(letter?.reason, 'poison')
        assert.equal(seen.all.length, 0)
      },
    },
  ],
}
