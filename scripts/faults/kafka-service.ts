import { faultProxy } from '../../packages/testkit/src/proxy/proxy.ts'
import { ensure, nodesOf, portsOfNode } from '../brokers/lifecycle.ts'
import type { Service } from './service-run.ts'

/** The clients that the adapter can use. */
export const kafkaClients = ['kafkajs', 'platformatic'] as const
export type KafkaClientName = (typeof kafkaClients)[number]

/** They take turns in the legs of a campaign. */
export const clientOf = (leg: number): KafkaClientName => (leg % 2 === 0 ? 'kafkajs' : 'platformatic')

/**
 * A service on a Kafka of this checkout, whose members take turns in using these clients. One proxy stands before a single node, since a node has one address that it tells its
 * clients. A cluster is reached without: its nodes fail.
 */
export async function kafkaService(
  broker: string,
  clients: readonly KafkaClientName[],
): Promise<Service & AsyncDisposable> {
  await ensure(broker)
  const nodes = nodesOf(broker).map((node) => portsOfNode(broker, node))
  const [first] = nodes
  const proxy = await faultProxy({
    to: { host: '127.0.0.1', port: first?.['proxied'] as number },
    listen: first?.['proxy'] as number,
  })
  const plain = nodes.map((ports) => ports['plain'] as number)
  const through = nodes.length === 1 ? [proxy.port] : plain
  const at = (ports: readonly number[], member: number): string =>
    `kafka://${ports.map((port) => `127.0.0.1:${port}`)}?client=${clients[member % clients.length]}`
  return {
    direct: at(plain, 0),
    urlOf: (_does, member) => at(through, member),
    wires: { sending: proxy, consuming: proxy },
    delays: false,
    [Symbol.asyncDispose]: () => proxy.close(),
  }
}
