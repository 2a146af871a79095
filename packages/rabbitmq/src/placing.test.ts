// A batch in which one message cannot be placed yet.
import { ensure } from '@posthorn/brokers'
import { expect, it } from 'vitest'
import { descentOf } from './ladder.ts'
import { namesIn } from './names.ts'
import { fixtureOn } from './testing/fixture.ts'

// Another version by its name, as in the conformance suite.
const testedOn = process.env['POSTHORN_RABBITMQ'] ?? 'rabbitmq'
const url = await ensure(testedOn)
const fixture = fixtureOn(testedOn, url)
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

it('a message that is due in a year waits on the broker, on the level that it takes', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  const notBefore = Date.now() + 366 * 86_400_000
  expect((await driver.send([fixture.message(topic, { notBefore })], { signal: forever }))[0]?.ok).toBe(true)
  const channel = await driver.client.sending?.createChannel()
  const level = namesIn(fixture.namespace).level(descentOf(notBefore - Date.now())?.entry as number)
  expect((await channel?.checkQueue(level))?.messageCount).toBe(1)
})
