import type { Kafka } from 'kafkajs'
import type { Fault } from '../errors.ts'
import { recordRequests } from '../protocol/record-requests.ts'
import { nameOf } from './address-book.ts'
import { byTopic } from './grouping.ts'
import { type Access, accessOf, saslOf } from './kafkajs-access.ts'
import { kafkajsCodecs } from './kafkajs-codecs.ts'
import { faultOfCode, faultOfKafkajs } from './kafkajs-faults.ts'
import { groupRequests } from './kafkajs-groups.ts'
import { carry, internals, unjudged } from './kafkajs-internals.ts'
import { pool } from './kafkajs-pool.ts'
import type { ClientSettings, KafkaClient, OffsetAnswer, TopicView, Wire } from './port.ts'

/** kafkajs behind the port. */
export async function kafkajsClient(settings: ClientSettings): Promise<KafkaClient<Kafka>> {
  internals()
  const { Kafka, logLevel } = await import('kafkajs')
  const access = await accessOf(settings)
  const native =
    (settings.given as Kafka | undefined) ??
    new Kafka({
      brokers: access.endpoints.map(nameOf),
      clientId: settings.clientId,
      logLevel: logLevel.NOTHING,
      connectionTimeout: settings.connectTimeoutMs,
      ...(settings.tls === undefined ? {} : { ssl: settings.tls }),
      ...(settings.login === undefined ? {} : { sasl: saslOf(settings.login) as never }),
    })
  // A `Kafka` holds no connection; what users make of it they close.
  return { native, wire: () => wire(settings, access), async close() {} }
}

function wire(settings: ClientSettings, access: Access): Wire {
  const { learn, ask, anyone, end } = pool(settings, access)
  const faultOf = (code: number, text?: string): Fault | undefined => (code === 0 ? undefined : faultOfCode(code, text))
  /** kafkajs rejects an answer as a whole where one of its parts failed: then each part is asked for alone. */
  const eachAlone = async <Q, A>(
    parts: readonly Q[],
    together: (parts: readonly Q[]) => Promise<readonly A[]>,
    failed: (part: Q, fault: Fault) => A,
  ): Promise<readonly A[]> => {
    try {
      return await together(parts)
    } catch (error) {
      const fault = faultOfKafkajs(error, true)
      if (fault.kind !== 'broker') throw fault
      if (parts.length === 1) return [failed(parts[0] as Q, fault)]
      const answers: A[] = []
      for (const part of parts) answers.push(...(await eachAlone([part], together, failed)))
      return answers
    }
  }
  return {
    async metadata(topics) {
      // An empty list asks for all topics.
      const data = await anyone((broker) => unjudged(broker).metadata(topics ?? []))
      for (const { nodeId, host, port } of data.brokers) learn(nodeId, { host, port })
      const views = data.topicMetadata.map(
        ({ topicErrorCode, topic, partitionMetadata }): TopicView => ({
          name: topic,
          fault: faultOf(topicErrorCode),
          partitions: partitionMetadata
            .map(({ partitionId, leader, replicas }) => ({ id: partitionId, leader, replicas: replicas.length }))
            .sort((a, b) => a.id - b.id),
        }),
      )
      return { controller: data.controllerId, nodes: data.brokers.map(({ nodeId }) => nodeId), topics: views }
    },
    async coordinator(of, id) {
      const { coordinator } = await anyone((broker) =>
        broker.findGroupCoordinator({ groupId: id, coordinatorType: of === 'group' ? 0 : 1 }),
      )
      learn(coordinator.nodeId, { host: coordinator.host, port: coordinator.port })
      return coordinator.nodeId
    },
    ...recordRequests((node, api, body) => ask(node, (broker) => carry(broker, api, body)), faultOf, kafkajsCodecs),
    offsets: (node, asked) =>
      ask(node, async (broker) => {
        const data = await broker.listOffsets({
          isolationLevel: 1,
          topics: byTopic(asked, ({ partition, at }) => ({ partition, timestamp: String(at) })),
        })
        return data.responses.flatMap(({ topic, partitions }) =>
          partitions.map(
            ({ partition, offset, timestamp }): OffsetAnswer => ({
              topic,
              partition,
              offset: Number(offset),
              timestamp: Number(timestamp ?? -1),
            }),
          ),
        )
      }),
    ...groupRequests({ ask, anyone }),
    createTopics: (node, topics) =>
      eachAlone(
        topics,
        async (some) => {
          await ask(node, (broker) =>
            broker
              .createTopics({
                timeout: settings.requestTimeoutMs,
                topics: some.map(({ topic, partitions, replicas, settings: entries }) => ({
                  topic,
                  numPartitions: partitions,
                  replicationFactor: replicas,
                  configEntries: Object.entries(entries).map(([name, value]) => ({ name, value })),
                })),
              })
              .catch((error: { readonly errors?: readonly unknown[] }) => {
                throw error.errors?.[0] ?? error
              }),
          )
          return some.map(({ topic }) => ({ topic, fault: undefined }))
        },
        ({ topic }, fault): { topic: string; fault: Fault | undefined } => ({ topic, fault }),
      ),
    async deleteTopic(node, topic) {
      await ask(node, (broker) => broker.deleteTopics({ topics: [topic], timeout: settings.requestTimeoutMs }))
    },
    settings: (topic) =>
      anyone(async (broker) => {
        const { resources } = await broker.describeConfigs({ resources: [{ type: 2, name: topic }] })
        const entries = resources[0]?.configEntries ?? []
        return new Map(entries.map(({ configName, configValue }) => [configName, configValue ?? '']))
      }),
    async close() {
      end()
    },
  }
}
