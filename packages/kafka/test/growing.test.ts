// Topics and partitions that appear while somebody reads.
import { describe, expect, test } from 'vitest'
import { bodies, clients, connect, eat, message, name, open, receive, topicOf } from './stand.ts'
import { grow } from './topics.ts'

const signal = (): AbortSignal => AbortSignal.timeout(20_000)

describe.each(clients)('%s', (client) => {
  test.each(['shared', 'broadcast'] as const)(
    'partitions that an operator adds are read from their beginning, by a %s member too',
    { timeout: 60_000 },
    async (mode) => {
      const namespace = name()
      const reading = await connect(namespace, { client })
      const small = topicOf({ partitions: 1 })
      await reading.declare(small, signal())
      const source = await open(reading, small, { mode, from: 'latest' })
      await grow(`${namespace}.orders`, 3)
      const sending = await connect(namespace, { client })
      await sending.declare(topicOf({ partitions: 3 }), signal())
      await sending.send(
        [0, 1, 2].map((partition) => message(partition, { partition })),
        { signal: signal() },
      )
      expect(bodies(await eat(source, 3)).sort()).toEqual(['0', '1', '2'])
    },
  )

  test('a topic that another process makes is read by a broadcast member of its pattern', {
    timeout: 60_000,
  }, async () => {
    const namespace = name()
    const reading = await connect(namespace, { client })
    const member = await open(reading, { pattern: 'late.*' } as never, { mode: 'broadcast', from: 'latest' })
    const sending = await connect(namespace, { client })
    const topic = topicOf({ name: 'late.one', partitions: 1 })
    await sending.declare(topic, signal())
    await sending.send([message(1, { topic: 'late.one' })], { signal: signal() })
    const [got] = await receive(member, 1)
    expect(got?.topic).toBe('late.one')
  })
})
