// With clients that are not ours, both ways and with every codec: librdkafka's kcat and Kafka's own Java tools.
import { dirname, join } from 'node:path'
import { logs } from '@posthorn/brokers'
import { kafkaTool, kcat } from '@posthorn/brokers/kafka-tools'
import type { Arrival } from '@posthorn/core/driver'
import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { address, clients, connect, message, name, open, receive, topicOf } from './stand.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** Enough that a codec has something to do, and in more than one of its blocks. */
const long = 'x'.repeat(500)
const each = 150
const numbers = Array.from({ length: each }, (_, n) => n)

async function theirTopic(namespace: string): Promise<string> {
  const topic = `${namespace}.theirs`
  const admin = new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true })
  await admin.disconnect()
  return topic
}

const ours = ({ id, key, headers, body, foreign }: Arrival) => ({
  id,
  key,
  from: headers['from'],
  text: Buffer.from(body).toString(),
  foreign,
})

test('a key lies where the Java producer puts it, by both clients', { timeout: 60_000 }, async () => {
  const namespace = name()
  const brokers = await address()
  // Of a number of partitions that is no power of two: a partitioner that keeps the sign bit would agree with Java's else.
  const topic = topicOf({ partitions: 5 })
  const keys = ['a', 'hello', 'key-2', 'ключ', '\u{1F600}', ...numbers.map((n) => `order-${n}`)]
  await (await connect(namespace, { client: 'kafkajs' })).declare(topic, AbortSignal.timeout(10_000))
  await kafkaTool(
    'org.apache.kafka.tools.ConsoleProducer',
    [
      ...['--bootstrap-server', brokers, '--topic', `${namespace}.orders`],
      ...['--reader-property', 'parse.key=true', '--reader-property', 'key.separator=:'],
    ],
    keys.map((key) => `${key}:java\n`).join(''),
  )
  for (const client of clients) {
    const driver = await connect(namespace, { client })
    const batch = keys.map((key, n) => message(n, { key, body: Buffer.from(client) }))
    await driver.send(batch, { signal: AbortSignal.timeout(10_000) })
  }
  const format = ['-f', '%s\t%k\t%p\n']
  const lines = (
    await kcat(['-C', '-q', '-e', '-b', brokers, '-t', `${namespace}.orders`, '-o', 'beginning', ...format])
  )
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))
  const placesOf = (by: string) => new Map(lines.filter(([who]) => who === by).map(([, key, at]) => [key, at]))
  const ofJava = placesOf('java')
  expect(ofJava.size).toBe(keys.length)
  for (const client of clients) expect(placesOf(client)).toEqual(ofJava)
})

test('what kcat and the Java producer write with any codec is read by both clients', { timeout: 120_000 }, async () => {
  const namespace = name()
  const [brokers, topic] = [await address(), await theirTopic(namespace)]
  const lines = (by: string, before = ''): string => numbers.map((n) => `${before}k${n}:${by} ${n} ${long}\n`).join('')
  for (const codec of codecs) {
    const by = `kcat ${codec}`
    await kcat(['-P', '-b', brokers, '-t', topic, '-K', ':', '-z', codec, '-H', `from=${by}`], lines(by))
  }
  const properties = ['parse.key=true', 'key.separator=:', 'parse.headers=true']
  const produce = async (codec: string): Promise<void> => {
    const by = `java ${codec}`
    await kafkaTool(
      'org.apache.kafka.tools.ConsoleProducer',
      [
        ...['--bootstrap-server', brokers, '--topic', topic, '--compression-codec', codec],
        ...properties.flatMap((property) => ['--reader-property', property]),
      ],
      lines(by)
        .replace(/^/gm, `from:${by}\t`)
        .replace(/from:[^\n]*\t$/, ''),
    )
  }
  // A JVM for each: without a codec kcat's are enough.
  const ofJava = codecs.filter((codec) => codec !== 'none')
  for (const codec of ofJava) await produce(codec)

  const written = [...codecs.map((codec) => `kcat ${codec}`), ...ofJava.map((codec) => `java ${codec}`)]
  const all: ReturnType<typeof ours>[][] = []
  for (const client of clients) {
    const driver = await connect(namespace, { client })
    const spec = topicOf({ name: 'theirs', on: { topic, groups: { g: `${namespace}-${client}` } } })
    await driver.declare(spec, AbortSignal.timeout(10_000))
    all.push((await receive(await open(driver, spec, { window: 2_000 }), written.length * each)).map(ours))
  }
  const [first = [], second = []] = all
  expect(second).toEqual(first)
  expect(new Set(first.map(({ id }) => id)).size).toBe(first.length)
  expect(first.map(({ id: _, ...rest }) => rest)).toEqual(
    written.flatMap((by) =>
      numbers.map((n) => ({ key: `k${n}`, from: by, text: `${by} ${n} ${long}`, foreign: true })),
    ),
  )
})

test('what both clients write with any codec is read by kcat and the Java consumer', { timeout: 120_000 }, async () => {
  const namespace = name()
  const [brokers, topic] = [await address(), await theirTopic(namespace)]
  const spec = topicOf({ name: 'theirs', on: { topic } })
  const expected: string[] = []
  for (const client of clients)
    for (const compression of codecs) {
      const driver = await connect(namespace, { client, compression })
      await driver.declare(spec, AbortSignal.timeout(10_000))
      const by = `${client} ${compression}`
      const batch = numbers.map((n) =>
        message(n, { topic: 'theirs', key: `k${n}`, body: Buffer.from(`${by} ${n} ${long}`), headers: { from: by } }),
      )
      const results = await driver.send(batch, { signal: AbortSignal.timeout(10_000) })
      expect(results.every(({ ok }) => ok)).toBe(true)
      expected.push(...numbers.map((n) => `k${n}\t${by} ${n} ${long}`))
    }
  const read = (text: string): string[] => text.trimEnd().split('\n')
  const format = ['-f', '%k\t%s\n']
  expect(read(await kcat(['-C', '-q', '-e', '-b', brokers, '-t', topic, '-o', 'beginning', ...format]))).toEqual(
    expected,
  )
  expect(await kcat(['-C', '-q', '-c', '1', '-b', brokers, '-t', topic, '-o', 'beginning', '-f', '%h'])).toContain(
    'from=kafkajs none',
  )
  const consumed = await kafkaTool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
    ...['--bootstrap-server', brokers, '--topic', topic, '--from-beginning'],
    ...['--max-messages', `${expected.length}`, '--formatter-property', 'print.key=true'],
  ])
  expect(read(consumed)).toEqual(expected)
  const [node] = logs('kafka', 1)
  const file = join(dirname(node?.file ?? ''), 'data', `${topic}-0`, '00000000000000000000.log')
  const dumped = await kafkaTool('org.apache.kafka.tools.DumpLogSegments', ['--files', file])
  expect([...dumped.matchAll(/compresscodec: (\w+)/g)].map(([, codec]) => codec)).toEqual([...codecs, ...codecs])
})
