import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Kafka } from 'kafkajs'
import { Fault } from '../errors.ts'
import type { Endpoint, Login } from '../options.ts'
import { byTopic } from './grouping.ts'
import { compressionNumber, useCodecs } from './kafkajs-codecs.ts'
import { faultOfKafkajs } from './kafkajs-faults.ts'
import { fetchAnswer } from './kafkajs-fetch.ts'
import { internals, type NativeBroker, silence } from './kafkajs-internals.ts'
import type {
  ClientSettings,
  CommittedOffset,
  FetchAnswer,
  KafkaClient,
  KafkaRecord,
  OffsetAnswer,
  ProduceAnswer,
  ProducePart,
  ProduceRequest,
  TopicView,
  TransactionIdentity,
  Wire,
} from './port.ts'

/** kafkajs behind the port. */
export async function kafkajsClient(settings: ClientSettings): Promise<KafkaClient<Kafka>> {
  internals()
  useCodecs()
  const { Kafka, logLevel } = await import('kafkajs')
  const native = new Kafka({
    brokers: settings.endpoints.map(({ host, port }) => `${host}:${port}`),
    clientId: settings.clientId,
    logLevel: logLevel.NOTHING,
    connectionTimeout: settings.connectTimeoutMs,
    ...(settings.tls === undefined ? {} : { ssl: settings.tls }),
    ...(settings.login === undefined ? {} : { sasl: saslOf(settings.login) as never }),
  })
  return { native, wire: () => wire(settings) }
}

function saslOf(login: Login): object {
  return login.mechanism === 'oauthbearer'
    ? { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await login.token() }) }
    : { mechanism: login.mechanism, username: login.user, password: login.password }
}

interface Node {
  readonly endpoint: Endpoint
  readonly broker: NativeBroker
}

/** Connections by address, opened when needed; a socket that failed or went silent is destroyed. */
function pool(settings: ClientSettings) {
  const nodes = new Map<string, Node>()
  const sockets = new Map<string, Set<Socket>>()
  const addresses = new Map<number, Endpoint>()
  let closed = false

  const nameOf = ({ host, port }: Endpoint): string => `${host}:${port}`
  const socketFactory = ({
    host,
    port,
    ssl,
    onConnect,
  }: {
    host: string
    port: number
    ssl: object | null
    onConnect: () => void
  }) => {
    const socket =
      ssl === null
        ? connectTcp({ host, port, noDelay: true }, onConnect)
        : connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
    socket.setKeepAlive(true, 10_000)
    const name = nameOf({ host, port })
    const set = sockets.get(name) ?? new Set()
    sockets.set(name, set.add(socket))
    socket.once('close', () => set.delete(socket))
    return socket
  }
  const nodeAt = (endpoint: Endpoint): Node => {
    const name = nameOf(endpoint)
    const found = nodes.get(name)
    if (found !== undefined) return found
    const node: Node = {
      endpoint,
      broker: internals().broker({
        ...endpoint,
        rack: null,
        clientId: settings.clientId,
        ssl: settings.tls ?? null,
        sasl: settings.login === undefined ? null : saslOf(settings.login),
        connectionTimeout: settings.connectTimeoutMs,
        requestTimeout: settings.requestTimeoutMs,
        logger: silence,
        socketFactory,
      }),
    }
    nodes.set(name, node)
    return node
  }
  /** kafkajs hears of an end only by `end` and `error`, so a silent destroy would leave requests hanging. */
  const cut = (endpoint: Endpoint): void => {
    nodes.delete(nameOf(endpoint))
    for (const socket of sockets.get(nameOf(endpoint)) ?? []) socket.destroy(new Error('closed by us'))
  }
  const connected = async (endpoint: Endpoint): Promise<Node> => {
    if (closed) throw new Fault('refused', 'CLOSED', 'the connection was closed')
    const node = nodeAt(endpoint)
    if (node.broker.isConnected()) return node
    try {
      await node.broker.connect()
      return node
    } catch (error) {
      cut(endpoint)
      throw faultOfKafkajs(error, false)
    }
  }
  return {
    learn(id: number, endpoint: Endpoint): void {
      addresses.set(id, endpoint)
    },
    /** Runs a request on a node; on a lost or silent connection its sockets go, so that the next one begins anew. */
    async ask<T>(id: number, request: (broker: NativeBroker) => Promise<T>): Promise<T> {
      const endpoint = addresses.get(id)
      if (endpoint === undefined) throw new Fault('refused', 'CONNECTION', `node ${id} has no known address`)
      const node = await connected(endpoint)
      try {
        return await request(node.broker)
      } catch (error) {
        const fault = faultOfKafkajs(error, true)
        if (fault.kind === 'connection') cut(endpoint)
        throw fault
      }
    },
    /** Runs a request on whichever node answers first in turn: known ones, then the given ones. */
    async anyone<T>(request: (broker: NativeBroker) => Promise<T>): Promise<T> {
      let last: Fault | undefined
      for (const endpoint of [...addresses.values(), ...settings.endpoints]) {
        try {
          const node = await connected(endpoint)
          return await request(node.broker)
        } catch (error) {
          last = faultOfKafkajs(error, true)
          if (last.kind === 'connection') cut(endpoint)
          if (last.kind === 'broker' || last.kind === 'login' || last.kind === 'client') throw last
        }
      }
      throw last ?? new Fault('refused', 'CONNECTION', 'there is no address to connect to')
    },
    end(): void {
      closed = true
      for (const set of sockets.values()) for (const socket of set) socket.destroy(new Error('closed by us'))
      nodes.clear()
    },
  }
}

const placed = ({ partition, offset, metadata }: CommittedOffset) => ({ partition, offset: String(offset), metadata })
const bytes = (data: Uint8Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)
const native = ({ transactionalId, id, epoch }: TransactionIdentity) => ({
  transactionalId,
  producerId: id,
  producerEpoch: epoch,
})

function wire(settings: ClientSettings): Wire {
  const { learn, ask, anyone, end } = pool(settings)
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
  const view = async (topics: readonly string[]): Promise<readonly [TopicView[], number, number[]]> => {
    const data = await anyone((broker) => broker.metadata(topics))
    for (const { nodeId, host, port } of data.brokers) learn(nodeId, { host, port })
    const views = data.topicMetadata.map(({ topic, partitionMetadata }) => ({
      name: topic,
      fault: undefined,
      partitions: partitionMetadata
        .map(({ partitionId, leader, replicas }) => ({ id: partitionId, leader, replicas: replicas.length }))
        .sort((a, b) => a.id - b.id),
    }))
    return [views, data.controllerId, data.brokers.map(({ nodeId }) => nodeId)]
  }
  return {
    async metadata(topics) {
      let [controller, nodes] = [-1, [] as number[]]
      const keep = (answer: Awaited<ReturnType<typeof view>>): TopicView[] => {
        controller = answer[1]
        nodes = answer[2]
        return answer[0]
      }
      // An empty list asks for all topics.
      const views = await eachAlone(
        topics === undefined ? [undefined] : topics,
        async (some) => keep(await view(some.filter((name) => name !== undefined))),
        (name, fault): TopicView => ({ name: name ?? '', fault, partitions: [] }),
      )
      return { controller, nodes, topics: views }
    },
    async coordinator(of, id) {
      const { coordinator } = await anyone((broker) =>
        broker.findGroupCoordinator({ groupId: id, coordinatorType: of === 'group' ? 0 : 1 }),
      )
      learn(coordinator.nodeId, { host: coordinator.host, port: coordinator.port })
      return coordinator.nodeId
    },
    produce: (node, request) =>
      eachAlone(
        request.parts,
        (parts) => ask(node, (broker) => produce(broker, request, parts)),
        (_, fault): ProduceAnswer => ({ fault, offset: undefined }),
      ),
    async fetch(node, request) {
      const together = async (parts: typeof request.partitions, maxWaitTime: number) => {
        const data = await ask(node, (broker) =>
          broker.fetch({
            isolationLevel: request.committedOnly ? 1 : 0,
            maxWaitTime,
            minBytes: 1,
            maxBytes: request.maxBytes,
            topics: byTopic(parts, ({ partition, offset, maxBytes }) => ({
              partition,
              fetchOffset: String(offset),
              maxBytes,
            })),
          }),
        )
        const asked = new Map(parts.map((each) => [`${each.partition}/${each.topic}`, each.offset]))
        return data.responses.flatMap(({ topicName, partitions }) =>
          partitions.map((each) =>
            fetchAnswer(topicName, asked.get(`${each.partition}/${topicName}`) ?? 0, request.committedOnly, each),
          ),
        )
      }
      let first = true
      return eachAlone(
        request.partitions,
        (parts) => {
          const wait = first ? request.maxWaitMs : 0
          first = false
          return together(parts, wait)
        },
        ({ topic, partition, offset }, fault): FetchAnswer => ({
          topic,
          partition,
          fault,
          records: [],
          next: offset,
          end: offset,
        }),
      )
    },
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
    join: (node, request) =>
      ask(node, async (broker) => {
        const data = await broker.joinGroup({
          groupId: request.group,
          memberId: request.member,
          sessionTimeout: request.sessionMs,
          rebalanceTimeout: request.rebalanceMs,
          groupProtocols: [{ name: request.protocol, metadata: bytes(request.metadata) }],
        })
        return {
          generation: data.generationId,
          member: data.memberId,
          leader: data.leaderId,
          members: data.members.map(({ memberId, memberMetadata }) => ({ member: memberId, metadata: memberMetadata })),
        }
      }),
    sync: (node, request) =>
      ask(node, async (broker) => {
        const { memberAssignment } = await broker.syncGroup({
          groupId: request.group,
          generationId: request.generation,
          memberId: request.member,
          groupAssignment: request.assignments.map(({ member, assignment }) => ({
            memberId: member,
            memberAssignment: bytes(assignment),
          })),
        })
        return memberAssignment ?? new Uint8Array()
      }),
    async heartbeat(node, { group, generation, member }) {
      await ask(node, (broker) => broker.heartbeat({ groupId: group, groupGenerationId: generation, memberId: member }))
    },
    async leave(node, { group, member }) {
      await ask(node, (broker) => broker.leaveGroup({ groupId: group, memberId: member }))
    },
    async commit(node, { group, generation, member }, offsets) {
      await ask(node, (broker) =>
        broker.offsetCommit({
          groupId: group,
          groupGenerationId: generation,
          memberId: member,
          topics: byTopic(offsets, placed),
        }),
      )
    },
    committed: (node, group, of) =>
      ask(node, async (broker) => {
        const data = await broker.offsetFetch({
          groupId: group,
          topics: byTopic(of, ({ partition }) => ({ partition })),
        })
        return data.responses.flatMap(({ topic, partitions }) =>
          partitions.map(({ partition, offset, metadata }) => ({
            topic,
            partition,
            offset: Number(offset),
            metadata: metadata ?? '',
          })),
        )
      }),
    initProducer: (node, transactionalId, timeoutMs) =>
      ask(node, async (broker) => {
        const data = await broker.initProducerId({ transactionalId, transactionTimeout: timeoutMs })
        return { id: String(data.producerId), epoch: data.producerEpoch }
      }),
    async addPartitions(node, transaction, partitions) {
      const topics = byTopic(partitions, ({ partition }) => partition)
      await ask(node, (broker) => broker.addPartitionsToTxn({ ...native(transaction), topics }))
    },
    async addOffsets(node, transaction, group) {
      await ask(node, (broker) => broker.addOffsetsToTxn({ ...native(transaction), groupId: group }))
    },
    async commitInTransaction(node, transaction, { group }, offsets) {
      const topics = byTopic(offsets, placed)
      await ask(node, (broker) => broker.txnOffsetCommit({ ...native(transaction), groupId: group, topics }))
    },
    async endTransaction(node, transaction, commit) {
      await ask(node, (broker) => broker.endTxn({ ...native(transaction), transactionResult: commit }))
    },
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
    settings: (node, topic) =>
      ask(node, async (broker) => {
        const { resources } = await broker.describeConfigs({ resources: [{ type: 2, name: topic }] })
        const entries = resources[0]?.configEntries ?? []
        return new Map(entries.map(({ configName, configValue }) => [configName, configValue ?? '']))
      }),
    async close() {
      end()
    },
  }
}

/** kafkajs takes bytes that are no Buffer for something to write as text. */
function buffered(record: KafkaRecord): KafkaRecord {
  const { key, value } = record
  const plain = (each: Uint8Array | null): boolean => each === null || Buffer.isBuffer(each)
  if (plain(key) && plain(value)) return record
  return { ...record, key: key === null ? null : bytes(key), value: value === null ? null : bytes(value) }
}

async function produce(
  broker: NativeBroker,
  request: ProduceRequest,
  parts: readonly ProducePart[],
): Promise<readonly ProduceAnswer[]> {
  const data = await broker.produce({
    topicData: byTopic(parts, ({ partition, sequence, records }) => ({
      partition,
      firstSequence: sequence,
      messages: records.map(buffered),
    })),
    transactionalId: request.transactionalId,
    producerId: request.identity.id,
    producerEpoch: request.identity.epoch,
    acks: -1,
    timeout: request.timeoutMs,
    compression: compressionNumber[request.compression],
  })
  const offsets = new Map<string, number>()
  for (const { topicName, partitions } of data.topics)
    for (const { partition, baseOffset, offset } of partitions)
      offsets.set(`${partition}/${topicName}`, Number(baseOffset ?? offset ?? -1))
  return parts.map(({ topic, partition }) => {
    const offset = offsets.get(`${partition}/${topic}`)
    return { fault: undefined, offset: offset === undefined || offset < 0 ? undefined : offset }
  })
}
