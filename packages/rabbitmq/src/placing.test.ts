// A batch in which one message cannot be placed yet.
import { ensure } from '@posthorn/brokers'
import { expect, it } from 'vitest'
import { fixtureOn } from './testing/fixture.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const forever = new AbortController().signal

it('a message does not wait until the delay ladder is made for another of its batch', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  const source = await fixture.open(driver, topic)
  const [waits, goes] = [fixture.message(topic, { notBefore: Date.now() + 10 * 86_400_000 }), fixture.message(topic)]
  let done = false
  const sending = driver.send([waits, goes], { signal: forever }).finally(() => {
    done = true
  })
  const [got] = await fixture.receive(source, 1)
  expect(got?.id).toBe(goes.id)
  expect(done).toBe(false)
  expect((await sending).map(({ ok }) => ok)).toEqual([true, true])
})
