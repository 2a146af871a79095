import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { BodyOf, OnAdapter, Pattern, Topic } from './face/messages.ts'
import { pattern } from './pattern.ts'
import { overridden, ownTopic, topic, topicParts, topicSpec } from './topic.ts'

test('a topic has its parts with defaults', () => {
  const key = (body: { id: string }): string => body.id
  const orders = topic<{ id: string }>('orders', {
    key,
    groups: ['billing', { name: 'mail', order: 'none', filter: { tag: 'paid' } }],
    on: { rabbitmq: { queue: 'q' } } as OnAdapter,
    priority: 5,
    retentionMs: 1_000,
  })
  expect(orders.name).toBe('orders')
  const parts = topicParts(orders)
  expect(parts).toMatchObject({ name: 'orders', partitions: 8, version: undefined, expiresInMs: undefined })
  expect(parts.codec.contentType).toBe('application/json')
  expect(topicSpec(parts, 'rabbitmq')).toEqual({
    name: 'orders',
    partitions: 8,
    groups: [
      { name: 'billing', order: 'key', filter: undefined },
      { name: 'mail', order: 'none', filter: { tag: 'paid' } },
    ],
    retentionMs: 1_000,
    keyed: true,
    priority: 5,
    on: { queue: 'q' },
  })
  expect(topicSpec(topicParts(topic('plain', { groups: ['g'] })), 'kafka')).toMatchObject({
    keyed: false,
    on: undefined,
    groups: [{ order: 'none' }],
  })
})

test('order of the whole topic is one partition', () => {
  const ordered = { groups: [{ name: 'g', order: 'topic' as const }] }
  expect(topicParts(topic('a', ordered)).partitions).toBe(1)
  expect(() => topic('a', { ...ordered, partitions: 4 })).toThrow(
    'group "g" has order \'topic\', which needs one partition, and there are 4',
  )
  expect(() => overridden(topicParts(topic('a', ordered)), { partitions: 4 })).toThrow('needs one partition')
})

test('configuration changes what a topic is on one broker and leaves the topic', () => {
  const parts = topicParts(topic('orders', { on: { rabbitmq: { queue: 'a' } } as OnAdapter }))
  const changed = overridden(parts, { partitions: 3, retentionMs: 5, on: { kafka: { topic: 'x' } } as OnAdapter })
  expect(changed).toMatchObject({
    partitions: 3,
    retentionMs: 5,
    on: { rabbitmq: { queue: 'a' }, kafka: { topic: 'x' } },
  })
  expect(parts).toMatchObject({ partitions: 8, retentionMs: undefined })
  expect(() => overridden(parts, { partition: 3 } as never)).toThrow(
    'the configuration of topic "orders": there is no option "partition"; did you mean partitions?',
  )
})

test('what is wrong is refused and named', () => {
  const made =
    (options: unknown, name: unknown = 't') =>
    (): unknown =>
      topic(name as string, options as object)
  const cases: [unknown, string][] = [
    [{ partition: 3 }, 'topic("t"): there is no option "partition"; did you mean partitions?'],
    [{ partitions: 0 }, 'partitions is 0; give a whole number from 1 to 1024'],
    [{ partitions: 1_025 }, 'partitions is 1025'],
    [{ partitions: Number.NaN }, 'partitions is NaN'],
    [{ partitions: 2 ** 53 }, 'partitions is 9007199254740992'],
    [{ key: 'id' }, 'key is "id"; give a function'],
    [{ groups: 'billing' }, 'groups is "billing"; give a list of names or of { name, order, filter }'],
    [{ groups: ['a', 'a'] }, 'groups has "a" twice'],
    [{ groups: ['a*'] }, 'groups[0] is "a*"; give a name without * and #'],
    [{ groups: [{ name: 'a', ordr: 'key' }] }, 'topic("t") groups[0]: there is no option "ordr"; did you mean order?'],
    [{ groups: [{ name: 'a', order: 'keys' }] }, "order is \"keys\"; give 'key', 'topic' or 'none'"],
    [{ groups: [{ order: 'key' }] }, 'name is undefined'],
    [{ groups: [{ name: 'a', filter: { tag: 'x', sql: 'y' } }] }, 'filter is an object; give one of { tag'],
    [{ groups: [{ name: 'a', filter: { headers: { a: 5 } } }] }, 'filter is an object'],
    [{ groups: [{ name: 'a', filter: { sql: 'price >' } }] }, 'topic("t") groups[0]: filter.sql: expected a name'],
    [{ groups: [5] }, 'groups[0] is 5; give a name or { name, order, filter }'],
    [{ codec: {} }, 'codec is an object; give a codec, such as json'],
    [{ schema: {} }, 'schema is an object; give a Standard Schema'],
    [{ retentionMs: -1 }, 'retentionMs is -1'],
    [{ expiresInMs: 0 }, 'expiresInMs is 0'],
    [{ priority: 10 }, 'priority is 10; give a whole number from 0 to 9'],
    [{ version: 0 }, 'version is 0'],
    [{ upcast: { 1: () => 1 } }, 'there is upcast, but no version'],
    [
      { version: 2, upcast: { 0: () => 1 } },
      'upcast is an object; give an object of functions by version, from 1 up ("0" is not)',
    ],
    [{ version: 2, upcast: { 1: 5 } }, 'upcast is an object'],
    [{ version: 4, upcast: { 1: () => 1, 3: () => 1 } }, 'upcast has no step from version 2'],
    [
      { version: 4, upcast: { 1: () => 1 } },
      'upcast ends at version 2 and version is 4; its last step must be upcast[3]',
    ],
    [{ on: { rabitmq: { queue: 'q' } } }, 'on is an object; give an object with rabbitmq instead of "rabitmq"'],
    [{ on: { rabbitmq: 'q' } }, 'an object in which rabbitmq is an object'],
    [5, 'its options are 5; give an object'],
  ]
  for (const [options, text] of cases) expect(made(options)).toThrow(text)
  for (const name of ['', 'a*', 'a\nb', '~own', 'x'.repeat(201), 5, null])
    expect(made(undefined, name)).toThrow(/^topic\(\): the name is /)
  expect(topic('t', { on: { pulsar: { x: 1 } } as never }).name).toBe('t')
  expect(ownTopic('~retry').name).toBe('~retry')
})

test('types: what is sent and what is handled', () => {
  const Order = z.object({ id: z.string(), cents: z.number().default(0) })
  const orders = topic('orders', { schema: Order, key: (o) => o.id })
  expectTypeOf(orders).toEqualTypeOf<Topic<{ id: string; cents?: number | undefined }, { id: string; cents: number }>>()
  expectTypeOf<BodyOf<typeof orders>>().toEqualTypeOf<{ id: string; cents: number }>()
  expectTypeOf(topic<{ a: 1 }>('x', { key: (body) => String(body.a) })).toEqualTypeOf<Topic<{ a: 1 }>>()
  expectTypeOf(topic('raw')).toEqualTypeOf<Topic<unknown>>()
  expectTypeOf(pattern('a.*')).toEqualTypeOf<Pattern<unknown>>()
  // @ts-expect-error the key of a schema's topic sees what is sent
  topic('orders', { schema: Order, key: (o) => o.nothing })
  // @ts-expect-error a topic is made by topic()
  const made: Topic<string> = { name: 'x' }
  expect(made.name).toBe('x')
})
