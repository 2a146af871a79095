// kafkajs 2.2.4 keeps its protocol layer (one method per request, nothing tried again) apart from its producers and consumers. We stand on
// that layer alone: the defects of kafkajs (lost acknowledgements under concurrency, commits of partitions that were taken away, silent jumps
// of offsets, consumers that stop for good) all lie in the layers above it. No release has moved these files since 2023.
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { MessagingError } from '@posthorn/core'

const load = createRequire(import.meta.url)

/** A record as kafkajs writes it. */
export interface NativeRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, Uint8Array | string>>
  readonly timestamp: number
}
/** A record as kafkajs reads it. */
export interface NativeStored {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | Buffer[] | undefined>> | undefined
  readonly isControlRecord?: boolean
  readonly batchContext?: {
    readonly producerId: string
    readonly inTransaction: boolean
    readonly firstOffset: string
    readonly lastOffsetDelta: number
  }
}
interface Placed<P> {
  readonly topic: string
  readonly partitions: readonly P[]
}
interface NativeOffset {
  readonly partition: number
  readonly offset: string
  readonly metadata?: string | null
}

/** The requests that we use of kafkajs' `Broker`. */
export interface NativeBroker {
  isConnected(): boolean
  connect(): Promise<void>
  metadata(topics: readonly string[]): Promise<{
    readonly brokers: readonly { nodeId: number; host: string; port: number; rack?: string | null }[]
    readonly controllerId: number
    readonly topicMetadata: readonly {
      topic: string
      partitionMetadata: readonly { partitionId: number; leader: number; replicas: readonly number[] }[]
    }[]
  }>
  findGroupCoordinator(request: { groupId: string; coordinatorType: number }): Promise<{
    readonly coordinator: { readonly nodeId: number; readonly host: string; readonly port: number }
  }>
  produce(request: {
    readonly topicData: readonly {
      topic: string
      partitions: readonly { partition: number; firstSequence: number; messages: readonly NativeRecord[] }[]
    }[]
    readonly transactionalId: string | undefined
    readonly producerId: string
    readonly producerEpoch: number
    readonly acks: -1
    readonly timeout: number
    readonly compression: number
  }): Promise<{
    readonly topics: readonly {
      topicName: string
      partitions: readonly { partition: number; baseOffset?: string; offset?: string }[]
    }[]
  }>
  fetch(request: {
    readonly isolationLevel: 0 | 1
    readonly maxWaitTime: number
    readonly minBytes: number
    readonly maxBytes: number
    readonly topics: readonly Placed<{ partition: number; fetchOffset: string; maxBytes: number }>[]
  }): Promise<{
    readonly responses: readonly {
      topicName: string
      partitions: readonly {
        partition: number
        highWatermark: string
        lastStableOffset?: string
        abortedTransactions?: readonly { producerId: string; firstOffset: string }[] | null
        messages: readonly NativeStored[]
      }[]
    }[]
  }>
  listOffsets(request: {
    readonly isolationLevel: 0 | 1
    readonly topics: readonly Placed<{ partition: number; timestamp: string }>[]
  }): Promise<{ readonly responses: readonly Placed<{ partition: number; offset: string; timestamp?: string }>[] }>
  joinGroup(request: {
    readonly groupId: string
    readonly memberId: string
    readonly sessionTimeout: number
    readonly rebalanceTimeout: number
    readonly groupProtocols: readonly { name: string; metadata: Buffer }[]
  }): Promise<{
    readonly generationId: number
    readonly memberId: string
    readonly leaderId: string
    readonly members: readonly { memberId: string; memberMetadata: Buffer }[]
  }>
  syncGroup(request: {
    readonly groupId: string
    readonly generationId: number
    readonly memberId: string
    readonly groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[]
  }): Promise<{ readonly memberAssignment: Buffer | null }>
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
  offsetCommit(request: {
    readonly groupId: string
    readonly groupGenerationId: number
    readonly memberId: string
    readonly topics: readonly Placed<NativeOffset>[]
  }): Promise<unknown>
  offsetFetch(request: {
    readonly groupId: string
    readonly topics: readonly Placed<{ partition: number }>[]
  }): Promise<{ readonly responses: readonly Placed<NativeOffset>[] }>
  initProducerId(request: { transactionalId: string | undefined; transactionTimeout: number }): Promise<{
    readonly producerId: string
    readonly producerEpoch: number
  }>
  addPartitionsToTxn(
    request: NativeTransaction & { topics: readonly { topic: string; partitions: readonly number[] }[] },
  ): Promise<unknown>
  addOffsetsToTxn(request: NativeTransaction & { groupId: string }): Promise<unknown>
  txnOffsetCommit(
    request: NativeTransaction & { groupId: string; topics: readonly Placed<NativeOffset>[] },
  ): Promise<unknown>
  endTxn(request: NativeTransaction & { transactionResult: boolean }): Promise<unknown>
  createTopics(request: {
    readonly topics: readonly {
      topic: string
      numPartitions: number
      replicationFactor: number
      configEntries: readonly { name: string; value: string }[]
    }[]
    readonly timeout: number
  }): Promise<unknown>
  deleteTopics(request: { readonly topics: readonly string[]; readonly timeout: number }): Promise<unknown>
  describeGroups(request: { readonly groupIds: readonly string[] }): Promise<{
    readonly groups: readonly { readonly members: readonly { memberMetadata: Buffer }[] }[]
  }>
  describeConfigs(request: { resources: readonly { type: number; name: string }[] }): Promise<{
    readonly resources: readonly { configEntries: readonly { configName: string; configValue: string | null }[] }[]
  }>
}
interface NativeTransaction {
  readonly transactionalId: string
  readonly producerId: string
  readonly producerEpoch: number
}

/** What a connection is made with. */
export interface NativeConnection {
  readonly host: string
  readonly port: number
  readonly rack: string | null
  readonly clientId: string
  readonly ssl: object | null
  readonly sasl: object | null
  readonly connectionTimeout: number
  readonly requestTimeout: number
  readonly logger: NativeLogger
  readonly socketFactory: (where: { host: string; port: number; ssl: object | null; onConnect: () => void }) => Socket
}
interface NativeLogger {
  namespace(): NativeLogger
  debug(): void
  info(): void
  warn(): void
  error(): void
}

/** Says nothing: what kafkajs calls an error (a rebalance, a loading coordinator) is an answer to us. */
export const silence: NativeLogger = { namespace: () => silence, debug() {}, info() {}, warn() {}, error() {} }

interface Internals {
  broker(connection: NativeConnection): NativeBroker
  readonly codecs: Record<number, () => NativeCodec>
}
/** How a codec is given to kafkajs. */
export interface NativeCodec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}

let loaded: Internals | undefined

/** The layer of requests; loaded at the first connection. */
export function internals(): Internals {
  loaded ??= open()
  return loaded
}

function open(): Internals {
  try {
    const Broker = load('kafkajs/src/broker') as new (options: object) => NativeBroker
    const ConnectionPool = load('kafkajs/src/network/connectionPool') as new (options: NativeConnection) => object
    const compression = load('kafkajs/src/protocol/message/compression') as { Codecs: Internals['codecs'] }
    quiet(load('kafkajs/src/network/requestQueue') as { prototype: RequestQueue })
    return {
      broker: (connection) =>
        new Broker({
          connectionPool: new ConnectionPool(connection),
          logger: connection.logger,
          allowAutoTopicCreation: false,
        }),
      codecs: compression.Codecs,
    }
  } catch (cause) {
    throw new MessagingError(
      'not-found',
      'kafkajs 2.2.4 is not installed beside @posthorn/kafka; run: pnpm add kafkajs@2.2.4',
      {
        cause,
      },
    )
  }
}

interface RequestQueue {
  pending: readonly unknown[]
  throttledUntil: number
  scheduleCheckPendingRequests(): void
}

/** An idle queue needs no timer; kafkajs arms one of a negative time over and over: 880 a second and a warning on stderr. */
function quiet(queue: { prototype: RequestQueue }): void {
  const schedule = queue.prototype.scheduleCheckPendingRequests
  queue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) schedule.call(this)
  }
}
