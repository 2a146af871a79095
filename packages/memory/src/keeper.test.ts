import { connectAdapter, topic } from '@posthorn/core'
import { expect, test } from 'vitest'
import { memory } from './index.ts'

test('where a store is there and nothing that keeps messages in it, what needs both says which is missing', async () => {
  const broker = await connectAdapter(memory(), { log: false })
  const orders = topic<string>('orders', { key: (id) => id })
  const missing = /needs @posthorn\/reliability, which keeps messages in the memory store; connect by `posthorn`/
  const parked = broker.consume(orders, { group: 'g', onFailure: 'park' }, async () => {})
  await expect(parked).rejects.toThrow(/^consume\(orders, { group: 'g' }\): onFailure: 'park' needs/)
  await expect(parked).rejects.toThrow(missing)
  expect(() => broker.checkHalf(orders, async () => 'commit')).toThrow(missing)
  expect((await broker.explain(orders, { group: 'g' })).toString()).not.toMatch(/give connect\(\) a store/)
  await broker.close()
})
