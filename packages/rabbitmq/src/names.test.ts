import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { namesIn } from './names.ts'

const word = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !/[*#\p{Cc}]/u.test(text) && text[0] !== '~')

describe('names on the broker', () => {
  it('are what the guide says', () => {
    const names = namesIn('shop')
    expect(names.topic('orders')).toBe('shop:orders')
    expect(names.lane('orders', 'billing', 3)).toBe('shop:orders@billing~3')
    expect(names.shelf('orders', 'billing')).toBe('shop:orders@billing~dead')
    expect(names.shelf('orders', undefined)).toBe('shop:~unroutable')
    expect(names.key('orders.created', 3)).toBe('3.orders.created')
    expect(names.groupKey('orders', 'billing.eu', '*')).toBe('*.@billing%2Eeu.orders')
    expect(namesIn('').topic('orders')).toBe('orders')
  })

  it('never mean two things', () => {
    const kinds = [
      (namespace: string, topic: string, group: string) => namesIn(namespace).queue(topic, group),
      (namespace: string, topic: string, group: string) => namesIn(namespace).lane(topic, group, 1),
      (namespace: string, topic: string, group: string) => namesIn(namespace).shelf(topic, group),
      (namespace: string, topic: string) => namesIn(namespace).topic(topic),
      (namespace: string, topic: string) => namesIn(namespace).late(topic),
    ]
    const parts = fc.tuple(fc.constantFrom('', 'a', 'b'), word, word, fc.nat(kinds.length - 1))
    const tricky = fc.tuple(
      fc.constantFrom('', 'a'),
      fc.constantFrom('a', 'a:b', 'b', 'a@b', 'a~1', 'a~dead', 'a%40b'),
      fc.constantFrom('b', 'b~1', 'c', 'b@c', 'b~dead'),
      fc.nat(kinds.length - 1),
    )
    const either = fc.oneof(parts, tricky)
    fc.assert(
      fc.property(either, either, (one, two) => {
        const nameOf = ([namespace, topic, group, kind]: typeof one): string =>
          kinds[kind]?.(namespace, topic, group) ?? ''
        const same = one.every((part, i) => part === two[i] || (i === 2 && (one[3] ?? 0) > 2))
        if (!same) expect(nameOf(one)).not.toBe(nameOf(two))
      }),
      { seed: 5, numRuns: 2_000 },
    )
  })

  it('give a topic back from its routing keys', () => {
    const names = namesIn('n')
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), word, fc.nat(1_023), (words, group, lane) => {
        const topic = words.join('.')
        expect(names.topicOfKey(names.key(topic, lane))).toBe(topic)
        expect(names.topicOfKey(names.groupKey(topic, group, lane))).toBe(topic)
      }),
      { seed: 6 },
    )
    expect(names.topicOfKey('order.created')).toBeUndefined()
  })

  it('refuse what AMQP cannot hold', () => {
    expect(() => namesIn('').queue('t'.repeat(200), 'g'.repeat(60))).toThrow(/255 bytes/)
  })

  it('tell reply addresses from queues of others', () => {
    const names = namesIn('shop')
    expect(names.address('~reply.1')).toBe('shop:~reply.1')
    expect(names.topicOfAddress('shop:~reply.1')).toBe('~reply.1')
    expect(names.address('amq.gen-x')).toBe('amq.gen-x')
    expect(names.topicOfAddress('amq.gen-x')).toBe('amq.gen-x')
  })
})
