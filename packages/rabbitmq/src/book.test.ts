// Processes that start at once, in a namespace in which nothing has been written down yet.
import { ensure } from '@posthorn/brokers'
import { expect, it } from 'vitest'
import { fixtureOn } from './testing/fixture.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const forever = new AbortController().signal

it('takes the cards of all, though the queue of cards is just being made by one of them', async () => {
  for (let round = 0; round < 10; round++) {
    const namespace = `${fixture.namespace}:${round}`
    const drivers = await Promise.all(Array.from({ length: 8 }, () => fixture.connect({ url }, { namespace })))
    const topics = drivers.map(() => fixture.topic({ groups: [] }))
    await Promise.all(drivers.map((driver, i) => driver.declare(topics[i] as (typeof topics)[number], forever)))
    const listed = await drivers[0]?.topics?.(forever)
    expect(listed?.map(({ name }) => name).sort()).toEqual(topics.map(({ name }) => name).sort())
  }
}, 60_000)
