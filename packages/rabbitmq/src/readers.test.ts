// Readers that are no group: their exchange is there only where somebody reads so, and then misses nothing, whoever came first.
import { ensure, logs } from '@posthorn/brokers'
import type { Driver, DriverContext, Source, TopicSpec } from '@posthorn/core/driver'
import { type Channel, connect } from 'amqplib'
import { beforeEach, describe, expect, it } from 'vitest'
import { namesIn } from './names.ts'
import { readingPlan } from './plan.ts'
import { fixtureOn } from './testing/fixture.ts'
import { managementOf } from './testing/management.ts'

const url = await ensure('rabbitmq')
const forever = new AbortController().signal
const fixture = fixtureOn('rabbitmq', url)
/** What a reader makes is there for a whole namespace: so each case has its own. */
let namespace = ''
let count = 0
const another = (): void => {
  namespace = `${fixture.namespace}:${++count}`
}
beforeEach(another)
const connected = (over: Partial<DriverContext> = {}) => fixture.connect({ url }, { namespace, ...over })

interface Binding {
  readonly destination: string
  readonly destination_type: 'queue' | 'exchange'
}
const bindingsOf = (exchange: string): Promise<readonly Binding[]> =>
  managementOf('rabbitmq').call('GET', `/exchanges/%2F/${encodeURIComponent(exchange)}/bindings/source`) as Promise<
    readonly Binding[]
  >
const broadcast = (driver: Driver, topic: TopicSpec): Promise<Source> =>
  fixture.open(driver, topic, { mode: 'broadcast', group: `all${++count}`, from: 'latest' })
const sent = async (driver: Driver, topic: TopicSpec) => {
  const message = fixture.message(topic)
  const [result] = await driver.send([message], { signal: forever })
  return { id: message.id, result }
}
const byHand = async (): Promise<Channel> => {
  const model = await connect(url)
  fixture.after(() => model.close())
  return model.createChannel()
}

describe('the exchange of readers', () => {
  it('costs nothing where nobody reads by pattern or broadcast', async () => {
    const driver = await connected()
    const topic = fixture.topic({
      groups: [
        { name: 'g', order: 'none', filter: undefined },
        { name: 'k', order: 'key', filter: undefined },
      ],
    })
    await driver.declare(topic, forever)
    await fixture.open(driver, topic)
    const names = namesIn(namespace)
    const found = await bindingsOf(names.topic(topic.name))
    expect(found.length).toBe(8)
    expect(found.filter(({ destination_type }) => destination_type === 'exchange')).toEqual([])
    const told = logs('rabbitmq', 500).map(({ text }) => text)
    expect(told.filter((text) => text.includes(names.all) || text.includes(names.readers))).toEqual([])
  })

  it('hears of each topic, though reader and group come at the same moment', async () => {
    for (let round = 0; round < 10; round++) {
      another()
      const [one, two] = [await connected(), await connected()]
      const topic = fixture.topic()
      await one.declare({ ...topic, groups: [] }, forever)
      const [reader] = await Promise.all([broadcast(two, topic), one.declare(topic, forever)])
      const { id, result } = await sent(one, topic)
      expect(result?.ok).toBe(true)
      expect((await fixture.receive(reader, 1)).map((each) => each.id)).toEqual([id])
    }
  })

  it('never makes a send count as routed', async () => {
    const driver = await connected()
    const topic = fixture.topic({ groups: [] })
    await driver.declare(topic, forever)
    await broadcast(driver, topic)
    const { result } = await sent(driver, topic)
    expect(result?.ok === false && result.error.code).toBe('unroutable')
  })

  it('is linked by the next reader where the first one ended before it had done so', async () => {
    const driver = await connected()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const { all } = namesIn(namespace)
    // As it is when a reader ends before it has linked anything.
    const channel = await byHand()
    await channel.assertExchange(all, 'topic', { internal: true })
    for (const step of readingPlan(namesIn(namespace)))
      if (step.do === 'queue') await channel.assertQueue(step.name, { arguments: step.args })
    const reader = await broadcast(driver, topic)
    const { id } = await sent(driver, topic)
    expect((await fixture.receive(reader, 1)).map((each) => each.id)).toEqual([id])
  })

  it('is not linked before the group has what is sent', async () => {
    const driver = await connected()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const names = namesIn(namespace)
    const [queue, exchange] = [names.queue(topic.name, 'g'), names.topic(topic.name)]
    // As it is when its maker ends between the queue and its bindings.
    const channel = await byHand()
    for (let lane = 0; lane < topic.partitions; lane++)
      await channel.unbindQueue(queue, exchange, names.key(topic.name, lane))
    await broadcast(driver, topic)
    expect((await sent(driver, topic)).result?.ok).toBe(true)
    expect((await channel.checkQueue(queue)).messageCount).toBe(1)
  })
})

describe('a reader that may not declare', () => {
  it.each(['check', 'none'] as const)('hears with topology %s', async (topology) => {
    const driver = await connected()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    await broadcast(driver, topic)
    const reader = await broadcast(await connected({ topology }), topic)
    const { id } = await sent(driver, topic)
    expect((await fixture.receive(reader, 1)).map((each) => each.id)).toEqual([id])
  })

  it.each(['check', 'none'] as const)('is told with topology %s what is missing', async (topology) => {
    const driver = await connected()
    const topic = fixture.topic()
    await driver.declare(topic, forever)
    const careful = await connected({ topology })
    await expect(broadcast(careful, topic)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('~all'),
    })
  })
})
