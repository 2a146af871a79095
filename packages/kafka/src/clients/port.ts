// What we ask of a client: the requests of Kafka's protocol, one method each. Order, sequences, groups and offsets are kept above.

import type { ConnectionOptions as TlsOptions } from 'node:tls'
import type { Fault } from '../errors.ts'
import type { Endpoint, Login } from '../options.ts'

/** What a client is made with. */
export interface ClientSettings {
  readonly endpoints: readonly Endpoint[]
  readonly clientId: string
  readonly tls: TlsOptions | undefined
  readonly login: Login | undefined
  /** A client that the user made, of the library that is to be used: it says where and how to connect, in place of the above. */
  readonly given: object | undefined
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  /** Of the requests that wait for the other members of a group. */
  readonly joinTimeoutMs: number
}

/** The requests of one set of connections. Each rejects with a `Fault` only, within the client's request time-out; none is tried again here. */
export interface Wire {
  /** Of these topics; undefined: of all. Also learns the brokers' addresses. */
  metadata(topics: readonly string[] | undefined): Promise<ClusterView>
  /** The node that coordinates a group or a transactional id. */
  coordinator(of: 'group' | 'transaction', id: string): Promise<number>
  produce(node: number, request: ProduceRequest): Promise<readonly ProduceAnswer[]>
  fetch(node: number, request: FetchRequest): Promise<readonly FetchAnswer[]>
  offsets(node: number, asked: readonly OffsetQuestion[]): Promise<readonly OffsetAnswer[]>
  /** `named` hears the id that the broker has chosen before it is used: the answer to the joining itself may be lost. */
  join(node: number, request: JoinRequest, named: (member: string) => void): Promise<JoinAnswer>
  sync(node: number, request: SyncRequest): Promise<Uint8Array>
  heartbeat(node: number, member: Member): Promise<void>
  leave(node: number, member: Member): Promise<void>
  commit(node: number, member: Member, offsets: readonly CommittedOffset[]): Promise<void>
  committed(node: number, group: string, of: readonly Partition[]): Promise<readonly CommittedOffset[]>
  /** Without a node: whichever answers. */
  initProducer(
    node: number | undefined,
    transactionalId: string | undefined,
    timeoutMs: number,
  ): Promise<ProducerIdentity>
  addPartitions(node: number, transaction: TransactionIdentity, partitions: readonly Partition[]): Promise<void>
  addOffsets(node: number, transaction: TransactionIdentity, group: string): Promise<void>
  commitInTransaction(
    node: number,
    transaction: TransactionIdentity,
    member: Member,
    offsets: readonly CommittedOffset[],
  ): Promise<void>
  endTransaction(node: number, transaction: TransactionIdentity, commit: boolean): Promise<void>
  createTopics(
    node: number,
    topics: readonly NewTopic[],
  ): Promise<readonly { topic: string; fault: Fault | undefined }[]>
  deleteTopic(node: number, topic: string): Promise<void>
  /** What the members of a group told when they joined; none where there is no such group. */
  memberships(node: number, group: string): Promise<readonly Uint8Array[]>
  /** Values of a topic's settings by name. */
  settings(topic: string): Promise<ReadonlyMap<string, string>>
  /** Ends all connections at once; what is under way rejects. */
  close(): Promise<void>
}

/** A client: opens sets of connections of their own, because one long request blocks what follows on the same connection. */
export interface KafkaClient<Native = unknown> {
  readonly native: Native
  wire(): Wire
  /** Ends `native` where we made it. */
  close(): Promise<void>
}

export interface Partition {
  readonly topic: string
  readonly partition: number
}
export interface ClusterView {
  readonly controller: number
  readonly nodes: readonly number[]
  readonly topics: readonly TopicView[]
}
export interface TopicView {
  readonly name: string
  readonly fault: Fault | undefined
  readonly partitions: readonly {
    readonly id: number
    /** -1: none at the moment. */
    readonly leader: number
    readonly replicas: number
  }[]
}

/** A message as Kafka keeps it. */
export interface KafkaRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
  /** Epoch ms. */
  readonly timestamp: number
}
/** The same as it is read. */
export interface StoredRecord extends Omit<KafkaRecord, 'headers'> {
  readonly offset: number
  /** Names and values in turn; a name may come again. */
  readonly headers: readonly string[]
}
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export interface ProduceRequest {
  readonly identity: ProducerIdentity
  readonly transactionalId: string | undefined
  readonly compression: Compression
  readonly timeoutMs: number
  readonly parts: readonly ProducePart[]
}
export interface ProducePart extends Partition {
  readonly sequence: number
  readonly records: readonly KafkaRecord[]
}
/** In the order of the request's parts. */
export interface ProduceAnswer {
  readonly fault: Fault | undefined
  /** Of the first record; undefined where the broker does not say. */
  readonly offset: number | undefined
}

export interface FetchRequest {
  readonly committedOnly: boolean
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly partitions: readonly (Partition & { readonly offset: number; readonly maxBytes: number })[]
}
export interface FetchAnswer extends Partition {
  readonly fault: Fault | undefined
  /** Aborted and control records are left out. */
  readonly records: readonly StoredRecord[]
  /** Where to go on: past what was left out, too. */
  readonly next: number
  /** Past the last record that may be read. */
  readonly end: number
}
/** `at`: epoch ms, or -1 for the end, -2 for the beginning. */
export interface OffsetQuestion extends Partition {
  readonly at: number
}
/** `offset` is -1 where nothing is as young as the time asked for. */
export interface OffsetAnswer extends Partition {
  readonly offset: number
  readonly timestamp: number
}

export interface Member {
  readonly group: string
  /** -1 and '' for who is no member. */
  readonly generation: number
  readonly member: string
  /** Of a member that keeps its place across restarts. */
  readonly instance: string | undefined
}
export interface JoinRequest {
  readonly group: string
  readonly member: string
  readonly instance: string | undefined
  readonly sessionMs: number
  readonly rebalanceMs: number
  readonly protocol: string
  readonly metadata: Uint8Array
}
export interface JoinAnswer {
  readonly generation: number
  readonly member: string
  readonly leader: string
  /** Of the leader only. */
  readonly members: readonly { readonly member: string; readonly metadata: Uint8Array }[]
}
export interface SyncRequest extends Member {
  readonly protocol: string
  readonly assignments: readonly { readonly member: string; readonly assignment: Uint8Array }[]
}
/** -1 as the offset: nothing committed. */
export interface CommittedOffset extends Partition {
  readonly offset: number
  readonly metadata: string
}
export interface ProducerIdentity {
  readonly id: string
  readonly epoch: number
}
export interface TransactionIdentity extends ProducerIdentity {
  readonly transactionalId: string
}
export interface NewTopic {
  readonly topic: string
  readonly partitions: number
  /** -1: the broker's default. */
  readonly replicas: number
  readonly settings: Readonly<Record<string, string>>
}
