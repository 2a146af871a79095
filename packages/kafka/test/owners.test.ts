// Topics that operators own: what is missing is refused at start, with the commands that make it.
import { describe, expect, test } from 'vitest'
import { bodies, clients, connect, eat, message, name, open, topicOf } from './stand.ts'
import { asOperator } from './topics.ts'

const topic = topicOf({ partitions: 2 })
const signal = (): AbortSignal => AbortSignal.timeout(20_000)

/** Does what the commands of an error say. */
async function obey(message: string): Promise<readonly string[]> {
  const commands = [
    ...message.matchAll(/kafka-topics.sh --create --topic (\S+) --partitions (\d+)((?: --config \S+=[^\s;]+)*)/g),
  ]
  const topics = commands.map(([, made = '', partitions, configs = '']) => ({
    topic: made,
    numPartitions: Number(partitions),
    configEntries: [...configs.matchAll(/--config (\S+)=(\S+)/g)].map(([, setting = '', value = '']) => ({
      name: setting,
      value,
    })),
  }))
  await asOperator((admin) => admin.createTopics({ topics, waitForLeaders: true }))
  return topics.map((each) => each.topic)
}

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'not-found' })
  return (error as Error).message
}

describe.each(clients)('%s', (client) => {
  test('what the commands of the refusals make is all that a group needs', { timeout: 60_000 }, async () => {
    const namespace = name()
    const driver = await connect(namespace, { client }, { topology: 'check' })
    expect(await obey(await refusal(driver.declare(topic, signal())))).toEqual([`${namespace}.orders`])
    await driver.declare(topic, signal())
    const beside = await obey(await refusal(open(driver, topic)))
    const derived = ['retry-10s', 'retry-60s', 'retry-15m', 'dead'].map((each) => `${namespace}.orders.-.g.-.${each}`)
    expect(beside).toEqual(derived)
    const source = await open(driver, topic)
    const letter = { reason: 'rejected', error: 'no', attempts: 1, at: Date.now() } as const
    const later = [1_000, 30_000, 600_000].map((ms, n) => message(n, { group: 'g', notBefore: Date.now() + ms }))
    const results = await driver.send([message(3), message(4, { group: 'g', letter }), ...later], { signal: signal() })
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true, true])
    expect(bodies(await eat(source, 2)).sort()).toEqual(['0', '3'])
    const letters: string[] = []
    for await (const { message: dead } of driver.shelf(topic, 'g').list(signal())) letters.push(...bodies([dead]))
    expect(letters).toEqual(['4'])
  })
})
