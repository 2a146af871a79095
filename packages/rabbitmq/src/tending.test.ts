// What finds no way out of the delay ladder, as while a broker before 4.3 starts, comes soon after there is one.
import { ensure, logs } from '@posthorn/brokers'
import { connect } from 'amqplib'
import { expect, it } from 'vitest'
import { firstLevel } from './ladder.ts'
import { namesIn } from './names.ts'
import { levelPlan, namespacePlan } from './plan.ts'
import { fixtureOn } from './testing/fixture.ts'
import { establish } from './topology.ts'

const url = await ensure('rabbitmq')
const { namespace, connect: driver, topic, message, open, receive, after } = fixtureOn('rabbitmq', url)
const names = namesIn(namespace)

async function channel() {
  const connection = await connect(url)
  after(() => connection.close())
  return connection.createChannel()
}

it('a message that was due while its way was missing comes within seconds of its return, not when the broker looks after three minutes', async () => {
  const spec = topic()
  const ours = await driver()
  const signal = new AbortController().signal
  await ours.declare(spec, signal)
  const source = await open(ours, spec)
  const sendSoon = async (): Promise<void> => {
    const [sent] = await ours.send([message(spec, { notBefore: Date.now() + 300 })], { signal })
    expect(sent).toMatchObject({ ok: true })
  }
  // This one has the ladder made.
  await sendSoon()
  expect(await receive(source, 1)).toHaveLength(1)
  await (await channel()).deleteExchange(names.delivery)
  await sendSoon()
  const stuck = (): boolean =>
    logs('rabbitmq', 500)
      .flatMap(({ text }) => text.split('\n'))
      .some((line) => line.includes('Cannot forward any dead-letter messages') && line.includes(namespace))
  await expect.poll(stuck, { timeout: 10_000 }).toBe(true)
  await (await driver()).declare(spec, signal)
  expect(await receive(source, 1, true, 12_000)).toHaveLength(1)
})

it('a level that a client made on an older broker, with a limit, is used as it is', async () => {
  const early = fixtureOn('rabbitmq', url)
  const spec = early.topic()
  const there = namesIn(early.namespace)
  const made = await channel()
  await establish(made, [...namespacePlan(there), ...levelPlan(there, firstLevel, false)], 'declare', 'an older client')
  const ours = await early.connect()
  await ours.declare(spec, new AbortController().signal)
  const source = await early.open(ours, spec)
  const notBefore = Date.now() + 500
  await ours.send([early.message(spec, { notBefore })], { signal: new AbortController().signal })
  expect(await early.receive(source, 1)).toHaveLength(1)
  expect(Date.now()).toBeGreaterThanOrEqual(notBefore)
})
