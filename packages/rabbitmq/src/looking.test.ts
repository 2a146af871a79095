// Two who look through the same queue at once.
import { ensure } from '@posthorn/brokers'
import { connectAdapter, topic } from '@posthorn/core'
import { type Clock, systemClock } from '@posthorn/core/driver'
import { connect } from 'amqplib'
import { expect, it } from 'vitest'
import { rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'
import { managementOf } from './testing/management.ts'

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
  const unhurried = await fixture.connect()
  expect((await unhurried.topics?.(forever))?.map(({ name }) => name)).toEqual([topic.name])
}, 30_000)

it.each([2, 6])(
  'of %i who look at the same moment each sees all, one after the other',
  async (count) => {
    const drivers = await Promise.all(Array.from({ length: count }, () => fixture.connect()))
    const topics = Array.from({ length: 5 }, () => fixture.topic())
    for (const topic of topics) await drivers[0]?.declare(topic, forever)
    const wanted = topics.map(({ name }) => name)
    for (let round = 0; round < 5; round++) {
      const lists = await Promise.all(drivers.map((driver) => driver.topics?.(forever)))
      for (const list of lists) {
        const seen = (list ?? []).map(({ name }) => name).filter((name) => wanted.includes(name))
        // Two leave the order as it was.
        expect(count === 2 ? seen : seen.sort()).toEqual(count === 2 ? wanted : [...wanted].sort())
      }
    }
  },
  30_000,
)

it('makes nothing for a group that was mistyped when its dead letters are asked for, and says which there are', async () => {
  const { namespace } = fixture
  const lines: string[] = []
  const broker = await connectAdapter(rabbitmq({ url }), { namespace, log: (line) => void lines.push(line) })
  fixture.after(() => broker.close())
  const orders = topic<string>('mistyped', { groups: ['billing'] })
  const lettersOf = async (of?: { readonly group: string }) => {
    const letters: string[] = []
    for await (const { body } of broker.deadLetters(orders, of).list()) letters.push(String(body))
    return letters
  }
  expect(await lettersOf({ group: 'billing' })).toEqual([])
  expect(await lettersOf()).toEqual([])
  expect(lines).toEqual([])
  expect(await lettersOf({ group: 'biling' })).toEqual([])
  expect(lines).toEqual([expect.stringContaining('mistyped has no group biling; did you mean billing?')])
  const made = await managementOf('rabbitmq').queues(`${namespace}:mistyped@`)
  expect(made.map(({ name }) => name).sort()).toEqual(
    ['mistyped@billing', 'mistyped@billing~dead'].map((name) => `${namespace}:${name}`),
  )
})
