// A queue that an operator removes while messages go to its topic, with nobody who consumes it.
import { ensure } from '@posthorn/brokers'
import { connectAdapter, topic } from '@posthorn/core'
import { systemClock } from '@posthorn/core/driver'
import { connect } from 'amqplib'
import { expect, it } from 'vitest'
import { rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'
import { recheckMs } from './verifying.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const forever = new AbortController().signal

it('is made again at the next look, and explain() names how often that is', async () => {
  let aheadMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
  const driver = await fixture.connect({ url }, { clock })
  const orders = fixture.topic({
    groups: ['billing', 'audit'].map((name) => ({ name, order: 'none' as const, filter: undefined })),
  })
  await driver.declare(orders, forever)
  const send = () => driver.send([fixture.message(orders)], { signal: forever })
  await send()
  const model = await connect(url)
  fixture.after(() => model.close())
  const channel = await model.createChannel()
  const queue = `${fixture.namespace}:${orders.name}@billing`
  await channel.deleteQueue(queue)
  // The other group has it, so the broker confirms it: this is what the look is for.
  expect((await send())[0]?.ok).toBe(true)
  aheadMs = recheckMs + 1
  await send()
  const waiting = async (): Promise<number> => {
    await send()
    const own = await model.createChannel()
    own.on('error', () => {})
    return own.checkQueue(queue).then(
      ({ messageCount }) => messageCount,
      () => 0,
    )
  }
  await expect.poll(waiting, { timeout: 10_000 }).toBeGreaterThan(0)
})

it('is named by explain()', async () => {
  const broker = await connectAdapter(rabbitmq({ url }), { namespace: fixture.namespace, log: false })
  fixture.after(() => broker.close())
  const explained = await broker.explain(topic('explained', { groups: ['g'] }), { group: 'g' })
  expect(String(explained)).toMatch(/look at them again every 30000 ms/)
})
