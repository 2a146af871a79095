import { ensure } from '@posthorn/brokers'
import type { Source } from '@posthorn/core/driver'
import { connect } from 'amqplib'
import { expect, it } from 'vitest'
import { fixtureOn } from './testing/fixture.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)

it('says what to do where a connection has no channel left, and goes on when there is one again', async () => {
  const connection = await connect(`${url}?channelMax=6`)
  fixture.after(() => connection.close())
  const driver = await fixture.connect({ connection })
  const topic = fixture.topic()
  await driver.declare(topic, new AbortController().signal)
  const sources: Source[] = []
  let refused: unknown
  while (refused === undefined && sources.length < 7)
    await fixture.open(driver, topic).then(
      (source) => sources.push(source),
      (error: unknown) => {
        refused = error
      },
    )
  expect(refused).toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/each consumer takes a channel .* more than one connect\(\)/),
  })
  await sources[0]?.close()
  await expect.poll(() => fixture.open(driver, topic).then(() => 'open', String)).toBe('open')
})

it('makes the delay ladder on few channels, too', async () => {
  const connection = await connect(`${url}?channelMax=6`)
  fixture.after(() => connection.close())
  const driver = await fixture.connect({ connection })
  const topic = fixture.topic()
  const signal = AbortSignal.timeout(20_000)
  await driver.declare(topic, signal)
  const [sent] = await driver.send([fixture.message(topic, { notBefore: Date.now() + 3_600_000 })], { signal })
  expect(sent).toMatchObject({ ok: true })
})
