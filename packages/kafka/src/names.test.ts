import fc from 'fast-check'
import { expect, test } from 'vitest'
import { names } from './names.ts'

test('names are deterministic, legal and prefixed', () => {
  const shop = names('shop')
  expect(shop.topic('orders.created')).toBe('shop.orders.created')
  expect(shop.group('orders', 'billing')).toBe('shop.billing')
  expect(shop.dead('orders', 'billing')).toBe('shop.orders.-.billing.-.dead')
  expect(shop.dead('orders', undefined)).toBe('shop.orders.-.dead')
  expect(shop.retries('orders', 'billing')).toEqual([
    'shop.orders.-.billing.-.retry-10s',
    'shop.orders.-.billing.-.retry-60s',
    'shop.orders.-.billing.-.retry-15m',
  ])
})

test('every name becomes one that Kafka takes, and is read back', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), (name) => {
      fc.pre(!name.includes('.-.') && !name.startsWith('__') && name.isWellFormed())
      const { topic, readable } = names('ns')
      expect(topic(name)).toMatch(/^[A-Za-z0-9._-]{1,249}$/)
      if (topic(name).length < 249) expect(readable(topic(name))).toBe(name)
    }),
    { seed: 1 },
  )
})

test('what is derived, what is Kafka’s and what is another namespace’s is nobody’s topic', () => {
  const { readable, dead } = names('shop')
  expect(readable(dead('orders', 'g'))).toBeUndefined()
  expect(readable('__consumer_offsets')).toBeUndefined()
  expect(readable('other.orders')).toBeUndefined()
})

test('a name with our mark is refused', () => {
  expect(() => names('').topic('orders.-.x')).toThrow(/\.-\./)
})

test('a mapped topic keeps its own name', () => {
  const mine = names('shop')
  mine.map('legacy', { topic: 'their-topic', groups: { billing: 'their-group' } })
  expect(mine.topic('legacy')).toBe('their-topic')
  expect(mine.group('legacy', 'billing')).toBe('their-group')
  expect(mine.readable('their-topic')).toBe('legacy')
})

test('long names are cut to what Kafka allows and stay apart', () => {
  const { topic } = names('')
  const [a, b] = [topic(`${'x'.repeat(300)}a`), topic(`${'x'.repeat(300)}b`)]
  expect(a.length).toBeLessThanOrEqual(249)
  expect(a).not.toBe(b)
})
