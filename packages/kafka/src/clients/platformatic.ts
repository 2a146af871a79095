import type { Admin, API } from '@platformatic/kafka'
import { MessagingError } from '@posthorn/core'
import { Fault } from '../errors.ts'
import type { Api } from '../protocol/api.ts'
import { type Codec, type Codecs, codecsBeside } from '../protocol/codecs.ts'
import { recordRequests } from '../protocol/record-requests.ts'
import { nameOf } from './address-book.ts'
import { byTopic } from './grouping.ts'
import { type Access, accessOf } from './platformatic-access.ts'
import { groupRequests } from './platformatic-groups.ts'
import { pool } from './platformatic-pool.ts'
import type { ClientSettings, KafkaClient, TopicView, Wire } from './port.ts'

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
  const access = accessOf(library, settings)
  const given = settings.given as Admin | undefined
  const native =
    given ??
    new library.Admin({
      clientId: settings.clientId,
      bootstrapBrokers: access.endpoints.map(nameOf),
      ...access.connection,
    })
  return {
    native,
    wire: () => wire(library, settings, access),
    async close() {
      if (given === undefined) await native.close()
    },
  }
}

function wire(library: Library, settings: ClientSettings, access: Access): Wire {
  const { learn, ask, anyone, end } = pool(library, settings, access)
  const carry = carrying(library)
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
    ...recordRequests(
      (node, api, body) => ask(node, api.waits ? 'fetch' : 'short', carry(api), body),
      faultOf,
      codecsOf(library),
    ),
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
    ...groupRequests(library, { ask, anyone }, check),
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
    async settings(topic) {
      const data = await anyone(
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

/** Requests that are written already, and whose answers are given unread. Each is made once: to make one costs more than to send it. */
function carrying({ createAPI, Writer }: Library): (api: Api) => API<[body: Buffer], Buffer> {
  const made = new Map<Api, API<[body: Buffer], Buffer>>()
  return (api) => {
    const found = made.get(api)
    if (found !== undefined) return found
    const carried = createAPI<[body: Buffer], Buffer>(
      api.key,
      api.version,
      (body) => Writer.create().append(body),
      (_correlation, _key, _version, { buffer, position }) => buffer.slice(position),
      false,
      false,
    )
    made.set(api, carried)
    return carried
  }
}

function codecsOf({ compressionsAlgorithms: { snappy, lz4 } }: Library): Codecs {
  const of = ({ compressSync, decompressSync }: typeof snappy | typeof lz4): Codec => ({
    compress: compressSync,
    decompress: decompressSync,
  })
  return codecsBeside({ snappy: () => of(snappy), lz4: () => of(lz4) })
}
