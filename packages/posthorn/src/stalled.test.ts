import { memory } from '@posthorn/memory'
import { expect, it } from 'vitest'
import { connect, topic } from './index.ts'

it('a consumer whose handler hangs is said to be stalled, and no longer when it goes on', async () => {
  const broker = await connect(memory({ clock: 'manual' }), { log: false })
  const clock = broker.driver.client
  const orders = topic<number>('orders', { groups: ['billing'] })
  const stalls: number[] = []
  broker.on('stalled', ({ group, forMs }) => void (group === 'billing' && stalls.push(forMs)))
  const hang = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  await broker.consume(orders, { group: 'billing' }, () => {
    started.resolve()
    return hang.promise
  })
  await clock.advance(600_000)
  expect(stalls).toEqual([])
  await broker.producer().send(orders, 1)
  await started.promise
  await clock.advance(180_000)
  expect(stalls.length).toBeGreaterThanOrEqual(2)
  expect(Math.min(...stalls)).toBeGreaterThanOrEqual(60_000)
  hang.resolve()
  await clock.idle()
  stalls.length = 0
  await clock.advance(600_000)
  expect(stalls).toEqual([])
  await broker.close()
})
