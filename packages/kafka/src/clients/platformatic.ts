import type { Admin, fetchV12, MessageRecord, RecordsBatch } from '@platformatic/kafka'
import { MessagingError } from '@posthorn/core'
import { Fault } from '../errors.ts'
import { visibility } from './aborted.ts'
import { byTopic } from './grouping.ts'
import { pool } from './platformatic-pool.ts'
import type {
  ClientSettings,
  CommittedOffset,
  FetchAnswer,
  KafkaClient,
  ProduceAnswer,
  ProduceRequest,
  StoredRecord,
  TopicView,
  Wire,
} from './port.ts'

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
  const committed = ({ partition, offset, metadata }: CommittedOffset) => ({
    partitionIndex: partition,
    committedOffset: BigInt(offset),
    committedLeaderEpoch: -1,
    committedMetadata: metadata,
  })
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
    async join(node, request) {
      const metadata = Buffer.from(request.metadata)
      const join = (member: string) =>
        ask(
          node,
          'join',
          library.joinGroupV7.api,
          request.group,
          request.sessionMs,
          request.rebalanceMs,
          member,
          null,
          'consumer',
          [{ name: request.protocol, metadata }],
        )
      let data = await join(request.member)
      if (faultOf(data.errorCode)?.type === 'MEMBER_ID_REQUIRED') data = await join(data.memberId)
      check(data.errorCode)
      return {
        generation: data.generationId,
        member: data.memberId,
        leader: data.leader,
        members: data.members.map((each) => ({ member: each.memberId, metadata: each.metadata })),
      }
    },
    async sync(node, request) {
      const data = await ask(
        node,
        'join',
        library.syncGroupV5.api,
        request.group,
        request.generation,
        request.member,
        null,
        'consumer',
        request.protocol,
        request.assignments.map(({ member, assignment }) => ({
          memberId: member,
          assignment: Buffer.from(assignment),
        })),
      )
      check(data.errorCode)
      return data.assignment
    },
    async heartbeat(node, { group, generation, member }) {
      check((await ask(node, 'short', library.heartbeatV4.api, group, generation, member)).errorCode)
    },
    async leave(node, { group, member }) {
      const data = await ask(node, 'short', library.leaveGroupV4.api, group, [
        { memberId: member, groupInstanceId: null },
      ])
      check(data.errorCode, ...data.members.map(({ errorCode }) => errorCode))
    },
    async commit(node, { group, generation, member }, offsets) {
      const topics = byTopic(offsets, committed).map(({ topic, partitions }) => ({ name: topic, partitions }))
      const data = await ask(node, 'short', library.offsetCommitV8.api, group, generation, member, null, topics)
      check(...data.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)))
    },
    async committed(node, group, of) {
      const topics = byTopic(of, ({ partition }) => partition).map(({ topic, partitions }) => ({
        name: topic,
        partitionIndexes: partitions,
      }))
      const data = await ask(
        node,
        'short',
        library.offsetFetchV8.api,
        [{ groupId: group, memberEpoch: -1, topics }],
        true,
      )
      return data.groups.flatMap((each) => {
        check(each.errorCode)
        return each.topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex, committedOffset, metadata, errorCode }) => {
            check(errorCode)
            return {
              topic: name,
              partition: partitionIndex,
              offset: Number(committedOffset),
              metadata: metadata ?? '',
            }
          }),
        )
      })
    },
    async initProducer(node, transactionalId, timeoutMs) {
      const data = await ask(node, 'short', library.initProducerIdV4.api, transactionalId ?? null, timeoutMs)
      check(data.errorCode)
      return { id: String(data.producerId), epoch: data.producerEpoch }
    },
    async addPartitions(node, { transactionalId, id, epoch }, partitions) {
      const topics = byTopic(partitions, ({ partition }) => partition).map(({ topic, partitions: list }) => ({
        name: topic,
        partitions: list,
      }))
      const data = await ask(node, 'short', library.addPartitionsToTxnV3.api, [
        { transactionalId, producerId: BigInt(id), producerEpoch: epoch, verifyOnly: false, topics },
      ])
      for (const { topicResults } of data.resultsByTransaction)
        for (const { resultsByPartition } of topicResults)
          check(...resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode))
    },
    async addOffsets(node, { transactionalId, id, epoch }, group) {
      check(
        (await ask(node, 'short', library.addOffsetsToTxnV3.api, transactionalId, BigInt(id), epoch, group)).errorCode,
      )
    },
    async commitInTransaction(node, { transactionalId, id, epoch }, { group, generation, member }, offsets) {
      const topics = byTopic(offsets, committed).map(({ topic, partitions }) => ({ name: topic, partitions }))
      const api = library.txnOffsetCommitV3.api
      const data = await ask(
        node,
        'short',
        api,
        transactionalId,
        group,
        BigInt(id),
        epoch,
        generation,
        member,
        null,
        topics,
      )
      check(...data.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)))
    },
    async endTransaction(node, { transactionalId, id, epoch }, commit) {
      check((await ask(node, 'short', library.endTxnV3.api, transactionalId, BigInt(id), epoch, commit)).errorCode)
    },
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

const bytes = (value: Uint8Array | string): Buffer =>
  typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value.buffer, value.byteOffset, value.byteLength)

function recordsOf({ parts }: ProduceRequest): MessageRecord[] {
  const records: MessageRecord[] = []
  for (const { topic, partition, records: some } of parts)
    for (const { key, value, headers, timestamp } of some) {
      const map = new Map<Buffer, Buffer>()
      for (const name in headers) map.set(Buffer.from(name, 'utf8'), bytes(headers[name] as Uint8Array | string))
      const record: Omit<MessageRecord, 'value'> & { value: Buffer | null } = {
        topic,
        partition,
        timestamp: BigInt(timestamp),
        headers: map,
        // The library writes null where there is none; its types forbid to say so.
        value: value === null ? null : bytes(value),
        ...(key === null ? {} : { key: bytes(key) }),
      }
      records.push(record as MessageRecord)
    }
  return records
}

type PartitionData = fetchV12.FetchResponsePartition
const controlBit = 32
const transactionalBit = 16
const appendTimeBit = 8

/** What of an answer counts, from the offset asked for on. */
function readable(
  data: PartitionData,
  from: number,
  committedOnly: boolean,
): Pick<FetchAnswer, 'records' | 'next' | 'end'> {
  const highWatermark = Number(data.highWatermark)
  const stable = Number(data.lastStableOffset)
  const undone = committedOnly ? (data.abortedTransactions ?? []) : []
  const counts = visibility(
    undone.map(({ producerId, firstOffset }) => ({ producer: String(producerId), first: Number(firstOffset) })),
  )
  const records: StoredRecord[] = []
  let next = from
  for (const batch of data.records ?? []) {
    next = Math.max(next, Number(batch.firstOffset) + batch.lastOffsetDelta + 1)
    collect(batch, from, counts, records)
  }
  return { records, next, end: committedOnly && stable >= 0 ? Math.min(stable, highWatermark) : highWatermark }
}

function collect(batch: RecordsBatch, from: number, counts: ReturnType<typeof visibility>, into: StoredRecord[]): void {
  const first = Number(batch.firstOffset)
  const time = Number(batch.firstTimestamp)
  const producer = String(batch.producerId)
  const control = (batch.attributes & controlBit) !== 0
  const transactional = (batch.attributes & transactionalBit) !== 0
  for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
    const offset = first + offsetDelta
    if (!counts(offset, producer, transactional, control) || offset < from) continue
    const named: Record<string, Uint8Array> = Object.create(null)
    for (const [name, content] of headers) if (name !== null && content !== null) named[name.toString('utf8')] = content
    const stamp = (batch.attributes & appendTimeBit) !== 0 ? Number(batch.maxTimestamp) : time + Number(timestampDelta)
    into.push({ offset, key, value, headers: named, timestamp: stamp })
  }
}
