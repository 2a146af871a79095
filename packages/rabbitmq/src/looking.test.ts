// Two who look through the same queue at once.
import { ensure } from '@posthorn/brokers'
import { type Clock, systemClock } from '@posthorn/core/driver'
import { connect } from 'amqplib'
import { expect, it } from 'vitest'
import { fixtureOn } from './testing/fixture.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const forever = new AbortController().signal

/** Twenty times as quick as the wall's. */
const hasty: Clock = { now: () => Date.now() * 20, after: systemClock.after }

it('does not call a list empty that another has in its hands', async () => {
  const driver = await fixture.connect({ url }, { clock: hasty })
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  const other = await connect(url)
  fixture.after(() => other.close())
  const channel = await other.createChannel()
  const book = `${fixture.namespace}:~topics`
  const cards = (await channel.checkQueue(book)).messageCount
  let taken = 0
  const allTaken = new Promise<void>((resolve) => {
    void channel.consume(book, () => {
      if (++taken === cards) resolve()
    })
  })
  await allTaken
  await expect(driver.topics?.(forever)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('another consumer has all of queue'),
  })
  await channel.close()
  expect((await driver.topics?.(forever))?.map(({ name }) => name)).toEqual([topic.name])
}, 30_000)
