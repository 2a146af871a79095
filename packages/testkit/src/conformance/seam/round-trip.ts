import assert from 'node:assert/strict'
import type { Arrival, Dispatch } from '@posthorn/core/driver'
import { awkwardTexts } from '../../hostile.ts'
import { hostileBodies } from '../../hostile-bodies.ts'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** What must be the same on both sides of the broker. */
export const roundTrip: Chapter = {
  name: 'round trip',
  layer: 'seam',
  scenarios: [
    {
      id: 'round-trip.every-field',
      says: 'every field of an envelope arrives as it was sent',
      run: async (stage) => {
        const now = stage.now()
        await same(stage, {
          key: 'order-42',
          tag: 'paid',
          headers: { 'x-one': '1', Two: 'zwei' },
          body: Buffer.from('{"a":1}'),
          contentType: 'application/json',
          sentAt: now - 5,
          expiresAt: now + 3_600_000,
          ...(stage.traits.priority ? { priority: 7 } : {}),
          version: 3,
          replyTo: '~reply-to-me',
          correlationId: 'c-1',
        })
      },
    },
    {
      id: 'round-trip.nothing-set',
      says: 'what was not set arrives as undefined, empty or 0, and the message is not foreign',
      run: async (stage) => {
        const got = await same(stage, { contentType: undefined, sentAt: undefined, body: Buffer.alloc(0) })
        assert.equal(got.foreign, false)
      },
    },
    {
      id: 'round-trip.counters',
      says: 'generation, failures, history and lone starts travel with a copy',
      run: async (stage) => {
        await same(stage, {
          generation: 4,
          failures: 2,
          lone: 1,
          history: [
            { attempt: 1, at: 1_700_000_000_000, error: 'Error: one' },
            { attempt: 2, at: 1_700_000_000_500, error: 'zwei ✂ "quoted"\nline' },
          ],
        })
      },
    },
    {
      id: 'round-trip.header-values',
      says: 'header values of every kind arrive: empty, long, of many scripts, with quotes, line ends and backslashes',
      run: async (stage) => {
        await same(stage, {
          headers: {
            empty: '',
            blank: '  two  ',
            unicode: 'Grüße 你好 🚀 \u202e',
            quotes: `'"\`\\`,
            lines: 'a\r\nb\tc',
            long: 'x'.repeat(4_000),
            number: '00012.50',
            json: '{"a":[1,"b"]}',
          },
        })
      },
    },
    {
      id: 'round-trip.header-names',
      says: 'header names that mean something to a language or a protocol are only names',
      run: async (stage) => {
        const headers = Object.assign(Object.create(null) as Record<string, string>, {
          constructor: 'c',
          toString: 't',
          'content-length': '1',
          'X-Case': 'upper',
          'x-case': 'lower',
          'with space': 's',
          größe: 'u',
        })
        Object.defineProperty(headers, '__proto__', { value: 'p', enumerable: true })
        const got = await same(stage, { headers })
        assert.equal(Object.hasOwn(got.headers, '__proto__'), true)
      },
    },
    {
      id: 'round-trip.keys',
      says: 'keys of every kind arrive: of many scripts, with spaces, dots, line ends and 200 characters',
      run: async (stage) => {
        for (const key of ['Ключ 🔑', 'a.b.*.#', 'a b\tc', 'quote\'"', 'x'.repeat(200)]) await same(stage, { key })
      },
    },
    {
      id: 'round-trip.every-byte',
      says: 'a body is bytes: all 256 of them arrive',
      run: async (stage) => {
        await same(stage, {
          body: Buffer.from(Array.from({ length: 256 }, (_, n) => n)),
          contentType: 'application/octet-stream',
        })
      },
    },
    {
      id: 'round-trip.hostile-bodies',
      says: 'bodies that break readers are only bytes to a broker: each arrives as it was sent',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const sent = hostileBodies
          .map(({ make }) => stage.message(topic, { body: make() }))
          .filter(({ body }) => body.length <= Math.min(500_000, stage.traits.maxBytes))
        for (let n = 0; n < sent.length; n += 20) await stage.send(driver, sent.slice(n, n + 20))
        const got = await (await stage.open(driver, topic)).eat(sent.length)
        const originals = new Map(sent.map(({ id, body }) => [id, Buffer.from(body)]))
        for (const { id, body } of got) assert.ok(originals.get(id)?.equals(body))
      },
    },
    {
      id: 'round-trip.awkward-texts',
      says: 'header values of every awkward kind come back letter by letter',
      run: async (stage) => {
        const headers = Object.fromEntries(
          awkwardTexts.flatMap(({ make }, n) => (make().length <= 1_000 ? [[`h${n}`, make()]] : [])),
        )
        await same(stage, { headers })
      },
    },
    {
      id: 'round-trip.ids',
      says: 'a user’s own id arrives as it was given',
      run: async (stage) => {
        for (const id of ['42', 'order/42:paid', 'Grüße-🚀', 'i'.repeat(100)]) await same(stage, { id })
      },
    },
    {
      id: 'round-trip.redelivery',
      says: 'a redelivered message is the same message: id, body, headers, key',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        const message = stage.message(topic, { key: 'k', headers: { a: '1' }, tag: 't', version: 2 })
        await stage.send(driver, [message])
        const member = await stage.open(driver, topic)
        const first = await member.hold(1)
        await member.nack(first)
        const [again] = await member.eat(1)
        assert.ok(again !== undefined)
        compare(again, message)
      },
    },
  ],
}

async function same(stage: Stage, over: Partial<Dispatch>): Promise<Arrival> {
  const { driver, topic } = await stage.declared({ priority: over.priority === undefined ? undefined : 9 })
  const message = stage.message(topic, over)
  await stage.send(driver, [message])
  const [got] = await (await stage.open(driver, topic)).eat(1)
  assert.ok(got !== undefined)
  compare(got, message)
  return got
}

function compare(got: Arrival, sent: Dispatch): void {
  const shown = (each: Arrival | Dispatch): unknown => ({
    id: each.id,
    topic: each.topic,
    key: each.key,
    tag: each.tag,
    headers: Object.entries(each.headers).sort(),
    body: Buffer.from(each.body).toString('hex'),
    contentType: each.contentType,
    sentAt: each.sentAt,
    expiresAt: each.expiresAt,
    priority: each.priority,
    version: each.version,
    generation: each.generation,
    failures: each.failures,
    history: each.history,
    lone: each.lone,
    replyTo: each.replyTo,
    correlationId: each.correlationId,
  })
  assert.deepEqual(shown(got), shown(sent))
}
