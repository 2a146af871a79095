// With exactly-once-sends what a handler sends is part of the broker's transaction: what would wait in a store cannot be, and is refused by what to do instead.
import { type Delivery, retry, topic } from '@posthorn/core'
import { expect, it } from 'vitest'
import { rig } from './rig.ts'

const orders = topic<number>('orders', { groups: ['g'] })
const bills = topic<number>('bills', { groups: ['g'] })

const sends: readonly [string, (delivery: Delivery<number>) => Promise<unknown>][] = [
  ['a delayed send', ({ producer, body }) => producer.send(bills, body, { delayMs: 60_000 })],
  ['a delay in a batch', ({ producer, body }) => producer.sendBatch(bills, [{ body, delayMs: 60_000 }])],
  ['sendHalf', ({ producer, body }) => producer.sendHalf(bills, body, async () => {})],
]
it.each(sends)('%s by delivery.producer says why, and which producer takes it', async (_, send) => {
  const { broker, clock } = await rig({ apart: true, traits: { delay: 'none', cancel: false } })
  const errors: unknown[] = []
  broker.checkHalf(bills, async () => 'unknown')
  const use = [retry({ attempts: 1 })]
  await broker.consume(orders, { group: 'g', guarantee: 'exactly-once-sends', use }, async (delivery) => {
    const sent: unknown = await send(delivery as Delivery<number>).catch((error: unknown) => error)
    errors.push(Array.isArray(sent) ? sent[0].error : sent)
  })
  await broker.producer().send(orders, 1)
  await clock.idle()
  expect(errors).toMatchObject([{ code: 'unsupported' }])
  expect((errors[0] as Error).message).toMatch(
    /by delivery\.producer with guarantee: 'exactly-once-sends' .* is no part of the broker's transaction; .* broker\.producer\(\)/,
  )
  expect((errors[0] as Error).message).not.toMatch(/connect by/)
  await broker.close()
})
