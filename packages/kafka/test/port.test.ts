// What either client must do as a carrier of single requests, before anything of ours stands on it.
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { kafkajsClient } from '../src/clients/kafkajs.ts'
import { platformaticClient } from '../src/clients/platformatic.ts'
import type { ClientSettings, JoinRequest, KafkaClient, Wire } from '../src/clients/port.ts'
import { address, type ClientName, clients, connect, name, topicOf } from './stand.ts'

const metadataKey = 3

async function wireOf(client: ClientName, given?: Kafka): Promise<Wire> {
  const [host = '', port = ''] = (await address()).split(':')
  const settings: ClientSettings = {
    endpoints: [{ host, port: Number(port) }],
    clientId: 'port',
    tls: undefined,
    login: undefined,
    given,
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 20_000,
    joinTimeoutMs: 30_000,
  }
  const made: KafkaClient = await (client === 'kafkajs' ? kafkajsClient(settings) : platformaticClient(settings))
  const wire = made.wire()
  onTestFinished(async () => {
    await wire.close()
    await made.close()
  })
  return wire
}

/** A namespace with a topic in it. */
async function withTopic(client: ClientName): Promise<string> {
  const namespace = name()
  const driver = await connect(namespace, { client })
  await driver.declare(topicOf({ partitions: 2 }), AbortSignal.timeout(10_000))
  return namespace
}

/** A Kafka whose requests are counted by their key. */
async function counted(): Promise<{ readonly kafka: Kafka; readonly sent: Map<number, number> }> {
  const { connect: tcp } = await import('node:net')
  const sent = new Map<number, number>()
  const kafka = new Kafka({
    brokers: [await address()],
    logLevel: logLevel.NOTHING,
    socketFactory({ host, port, onConnect }) {
      const socket = tcp({ host, port }, onConnect)
      const write = socket.write.bind(socket)
      socket.write = ((bytes: Buffer, ...rest: []) => {
        const key = bytes.readInt16BE(4)
        sent.set(key, (sent.get(key) ?? 0) + 1)
        return write(bytes, ...rest)
      }) as typeof socket.write
      return socket
    },
  })
  return { kafka, sent }
}

describe.each(clients)('%s', (client) => {
  test('of many topics those that are missing are told beside those that are there', async () => {
    const namespace = await withTopic(client)
    const wire = await wireOf(client)
    const missing = Array.from({ length: 20 }, (_, n) => `${namespace}.missing-${n}`)
    const { topics } = await wire.metadata([...missing, `${namespace}.orders`])
    expect(new Map(topics.map((each) => [each.name, each.fault?.type ?? each.partitions.length]))).toEqual(
      new Map<string, string | number>([
        ...missing.map((each) => [each, 'UNKNOWN_TOPIC_OR_PARTITION'] as const),
        [`${namespace}.orders`, 2],
      ]),
    )
  })

  test('what waits for the other members of a group holds up nothing else', { timeout: 60_000 }, async () => {
    const namespace = await withTopic(client)
    const group = `${namespace}.g`
    const [first, second] = [await wireOf(client), await wireOf(client)]
    const node = await first.coordinator('group', group)
    await second.coordinator('group', group)
    const request: JoinRequest = {
      group,
      member: '',
      instance: undefined,
      sessionMs: 10_000,
      rebalanceMs: 10_000,
      protocol: 'any',
      metadata: Buffer.from('x'),
    }
    const { member, generation } = await first.join(node, request, () => {})
    const place = { group, member, generation, instance: undefined }
    await first.sync(node, { ...place, protocol: 'any', assignments: [{ member, assignment: Buffer.from('a') }] })
    let over = false
    const joining = second
      .join(node, request, () => {})
      .finally(() => {
        over = true
      })
    // From now on the group waits for its first member.
    await expect
      .poll(
        () =>
          first.heartbeat(node, place).then(
            () => '',
            ({ type }) => type,
          ),
        { timeout: 10_000 },
      )
      .toBe('REBALANCE_IN_PROGRESS')
    expect((await second.metadata([`${namespace}.orders`])).topics).toHaveLength(1)
    expect(over).toBe(false)
    await first.leave(node, place)
    await joining
  })
})

test('kafkajs asks once for many topics, although it would ask again for each where one is missing', async () => {
  const namespace = await withTopic('kafkajs')
  const { kafka, sent } = await counted()
  const wire = await wireOf('kafkajs', kafka)
  await wire.metadata([`${namespace}.orders`, ...Array.from({ length: 20 }, (_, n) => `${namespace}.missing-${n}`)])
  expect(sent.get(metadataKey)).toBe(1)
})
