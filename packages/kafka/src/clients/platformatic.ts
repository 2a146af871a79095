import type { Admin } from '@platformatic/kafka'
import { MessagingError } from '@posthorn/core'
import { Fault } from '../errors.ts'
import { byTopic } from './grouping.ts'
import { groupRequests } from './platformatic-groups.ts'
import { pool } from './platformatic-pool.ts'
import { readable, recordsOf } from './platformatic-records.ts'
import type { ClientSettings, FetchAnswer, KafkaClient, ProduceAnswer, TopicView, Wire } from './port.ts'

type Library = typeof import('@platformatic/kafka')

/** @platformatic/kafka behind the port, by its single requests in versions that Kafka 3 and 4 both speak. */
export async function platformaticClient(settings: ClientSettings): Promise<KafkaClient<Admin>> {
  const library = await import('@platformatic/kafka').catch((cause: unknown) => {
    throw new MessagingError(
      'not-found',
      "client: 'platformatic' needs @platformatic/kafka beside @posthorn/kafka; run: pnpm add @platformatic/kafka",
      { cause },
    )
  })
  const native = new library.Admin({
    clientId: settings.clientId,
    bootstrapBrokers: settings.endpoints.map(({ host, port }) => `${host}:${port}`),
    ...(settings.tls === undefined ? {} : { tls: settings.tls }),
  })
  return { native, wire: () => wire(library, settings) }
}

function wire(library: Library, settings: ClientSettings): Wire {
  const { learn, ask, anyone, end } = pool(library, settings)
  const faultOf = (code: number, text?: string | null): Fault | undefined => {
    if (code === 0) return undefined
    const type = library.protocolErrorsCodesById[code] ?? `ERROR_${code}`
    return new Fault('broker', type, text ?? library.protocolErrors[type]?.message ?? type)
  }
  const check = (...codes: readonly number[]): void => {
    for (const code of codes) {
      const fault = faultOf(code)
      if (fault !== undefined) throw fault
    }
  }
  return {
    async metadata(topics) {
      const data = await anyone(library.metadataV9.api, topics === undefined ? null : [...topics], false)
      for (const { nodeId, host, port } of data.brokers) learn(nodeId, { host, port })
      const views = data.topics.map(
        ({ name, errorCode, partitions }): TopicView => ({
          name,
          fault: faultOf(errorCode),
          partitions: partitions
            .map(({ partitionIndex, leaderId, replicaNodes }) => ({
              id: partitionIndex,
              leader: leaderId,
              replicas: replicaNodes.length,
            }))
            .sort((a, b) => a.id - b.id),
        }),
      )
      return { controller: data.controllerId, nodes: data.brokers.map(({ nodeId }) => nodeId), topics: views }
    },
    async coordinator(of, id) {
      const { coordinators } = await anyone(library.findCoordinatorV4.api, of === 'group' ? 0 : 1, [id])
      const [found] = coordinators
      if (found === undefined) throw new Fault('broker', 'COORDINATOR_NOT_AVAILABLE', `nobody coordinates ${id}`)
      check(found.errorCode)
      learn(found.nodeId, { host: found.host, port: found.port })
      return found.nodeId
    },
    async produce(node, request) {
      const data = await ask(node, 'short', library.produceV9.api, -1, request.timeoutMs, recordsOf(request), {
        compression: request.compression,
        producerId: BigInt(request.identity.id),
        producerEpoch: request.identity.epoch,
        sequences: new library.NumericMap(
          request.parts.map(({ topic, partition, sequence }) => [`${topic}:${partition}`, sequence]),
        ),
        ...(request.transactionalId === undefined ? {} : { transactionalId: request.transactionalId }),
      })
      if (typeof data === 'boolean') throw new Fault('client', 'PLATFORMATIC', 'a batch got no answer')
      const answers = new Map<string, ProduceAnswer>()
      for (const { name, partitionResponses } of data.responses)
        for (const { index, errorCode, errorMessage, baseOffset } of partitionResponses)
          answers.set(`${index}/${name}`, {
            fault: faultOf(errorCode, errorMessage),
            offset: baseOffset < 0n ? undefined : Number(baseOffset),
          })
      const missing = new Fault('connection', 'CONNECTION', 'the answer lacks a partition')
      return request.parts.map(
        ({ topic, partition }) => answers.get(`${partition}/${topic}`) ?? { fault: missing, offset: undefined },
      )
    },
    async fetch(node, request) {
      const topics = byTopic(request.partitions, ({ partition, offset, maxBytes }) => ({
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(offset),
        lastFetchedEpoch: -1,
        partitionMaxBytes: maxBytes,
      })).map(({ topic, partitions }) => ({ topicId: topic, partitions }))
      const isolation = request.committedOnly ? 1 : 0
      const { maxWaitMs, maxBytes } = request
      const data = await ask(
        node,
        'fetch',
        library.fetchV12.api,
        maxWaitMs,
        1,
        maxBytes,
        isolation,
        0,
        -1,
        topics,
        [],
        '',
      )
      check(data.errorCode)
      const asked = new Map(request.partitions.map((each) => [`${each.partition}/${each.topic}`, each.offset]))
      return data.responses.flatMap(({ topicId, partitions }) =>
        partitions.map((each): FetchAnswer => {
          const from = asked.get(`${each.partitionIndex}/${topicId}`) ?? 0
          const fault = faultOf(each.errorCode)
          const place = { topic: topicId, partition: each.partitionIndex }
          if (fault !== undefined) return { ...place, fault, records: [], next: from, end: from }
          return { ...place, fault, ...readable(each, from, request.committedOnly) }
        }),
      )
    },
    async offsets(node, asked) {
      const topics = byTopic(asked, ({ partition, at }) => ({
        partitionIndex: partition,
        currentLeaderEpoch: -1,
        timestamp: BigInt(at),
      })).map(({ topic, partitions }) => ({ name: topic, partitions }))
      const data = await ask(node, 'short', library.listOffsetsV6.api, -1, 1, topics)
      return data.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, errorCode, offset, timestamp }) => {
          check(errorCode)
          return { topic: name, partition: partitionIndex, offset: Number(offset), timestamp: Number(timestamp) }
        }),
      )
    },
    ...groupRequests(library, ask, check),
    async createTopics(node, topics) {
      const data = await ask(
        node,
        'short',
        library.createTopicsV5.api,
        topics.map(({ topic, partitions, replicas, settings: entries }) => ({
          name: topic,
          numPartitions: partitions,
          replicationFactor: replicas,
          assignments: [],
          configs: Object.entries(entries).map(([name, value]) => ({ name, value })),
        })),
        settings.requestTimeoutMs,
        false,
      )
      return data.topics.map(({ name, errorCode, errorMessage }) => ({
        topic: name,
        fault: faultOf(errorCode, errorMessage),
      }))
    },
    async deleteTopic(node, topic) {
      const topics = [{ name: topic, topicId: null }]
      const data = await ask(node, 'short', library.deleteTopicsV6.api, topics, settings.requestTimeoutMs)
      check(...data.responses.map(({ errorCode }) => errorCode))
    },
    async settings(node, topic) {
      const data = await ask(
        node,
        'short',
        library.describeConfigsV4.api,
        [{ resourceType: 2, resourceName: topic, configurationKeys: null }],
        false,
        false,
      )
      check(...data.results.map(({ errorCode }) => errorCode))
      return new Map(
        data.results.flatMap(({ configs }) => configs.map(({ name, value }) => [name, value ?? ''] as const)),
      )
    },
    async close() {
      end()
    },
  }
}
