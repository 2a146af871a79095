// kafkajs 2.2.4 keeps its protocol layer (one method per request, nothing tried again) apart from its producers and consumers. We stand on
// that layer alone: the defects of kafkajs (lost acknowledgements under concurrency, commits of partitions that were taken away, silent jumps
// of offsets, consumers that stop for good) all lie in the layers above it. No release has moved these files since 2023.
import { createRequire } from 'node:module'
import { MessagingError } from '@posthorn/core'
import type { Api } from '../protocol/api.ts'
import type { SocketFactory } from './kafkajs-access.ts'

const load = createRequire(import.meta.url)

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
  /** Takes any request that can write itself and read its answer. */
  readonly connectionPool: { send<T>(request: NativeRequest<T>): Promise<T> }
  isConnected(): boolean
  connect(): Promise<void>
  metadata(topics: readonly string[]): Promise<{
    readonly brokers: readonly { nodeId: number; host: string; port: number; rack?: string | null }[]
    readonly controllerId: number
    readonly topicMetadata: readonly {
      topicErrorCode: number
      topic: string
      partitionMetadata: readonly { partitionId: number; leader: number; replicas: readonly number[] }[]
    }[]
  }>
  findGroupCoordinator(request: { groupId: string; coordinatorType: number }): Promise<{
    readonly coordinator: { readonly nodeId: number; readonly host: string; readonly port: number }
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
interface NativeRequest<T> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    /** Of an `Encoder` kafkajs reads these two. */
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
  }
  readonly response: {
    decode(payload: Buffer): Promise<NativeAnswer>
    parse(answer: NativeAnswer): Promise<T>
  }
}
interface NativeAnswer {
  readonly payload: Buffer
  readonly clientSideThrottleTime: number
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
  readonly socketFactory: SocketFactory
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

/** Makes a request of its fields, with how its answer is read. */
type Make = (request: { readonly memberId?: string; readonly groupInstanceId?: string }) => {
  readonly response: object
}
type Requests = (key: unknown, definition: unknown) => Make

/** The same broker, whose requests are made otherwise than its methods make them. */
function made(broker: NativeBroker, otherwise: (make: Make) => Make): NativeBroker {
  const { lookupRequest } = broker as unknown as { readonly lookupRequest: Requests }
  const changed: Requests = (key, definition) => otherwise(lookupRequest(key, definition))
  return Object.create(broker, { lookupRequest: { value: changed } }) as NativeBroker
}

/**
 * The same broker, whose requests to a group's coordinator also name the instance: kafkajs knows of it in its requests, not above them. `joining` hears by
 * which id each of them goes out: the one that the broker gives at a first joining would be known by the answer to the second alone.
 */
export function asMember(
  broker: NativeBroker,
  instance: string | undefined,
  joining: (member: string) => void = () => {},
): NativeBroker {
  return made(broker, (make) => (request) => {
    joining(request.memberId ?? '')
    return make(instance === undefined ? request : { ...request, groupInstanceId: instance })
  })
}

/** The same broker, whose answers come with the errors of their parts: for one of them kafkajs would reject the whole. */
export function unjudged(broker: NativeBroker): NativeBroker {
  return made(broker, (make) => (request) => {
    const { response, ...rest } = make(request)
    return { ...rest, response: { ...response, parse: async (answer: unknown) => answer } }
  })
}

interface Internals {
  broker(connection: NativeConnection): NativeBroker
  errorOf(code: number): { readonly type: string; readonly message: string }
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
    const { createErrorFromCode } = load('kafkajs/src/protocol/error') as { createErrorFromCode: Internals['errorOf'] }
    quiet(load('kafkajs/src/network/requestQueue') as { prototype: RequestQueue })
    return {
      broker: (connection) =>
        new Broker({
          connectionPool: new ConnectionPool(connection),
          logger: connection.logger,
          allowAutoTopicCreation: false,
        }),
      errorOf: createErrorFromCode,
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

/** Sends a request that is written already, and gives its answer unread. */
export function carry(
  { connectionPool }: NativeBroker,
  { key, version, name, throttleMs }: Api,
  body: Buffer,
): Promise<Buffer> {
  return connectionPool.send({
    request: { apiKey: key, apiVersion: version, apiName: name, encode: async () => ({ buf: body, buffer: body }) },
    response: {
      decode: async (payload) => ({ payload, clientSideThrottleTime: throttleMs(payload) }),
      parse: async ({ payload }) => payload,
    },
  })
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
