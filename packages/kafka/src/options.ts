import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { MessagingError } from '@posthorn/core'
import {
  adapterOptions,
  anything,
  callable,
  checkOptions,
  checkValue,
  object,
  oneOf,
  parseConnectionUrl,
  type Rule,
  type Shape,
  text,
  whole,
} from '@posthorn/core/driver'
import type { Admin, Kafka } from './clients/native.ts'
import type { Compression } from './clients/port.ts'

/** How to log in. */
export type SaslOptions =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly username: string
      readonly password: string
    }
  | {
      readonly mechanism: 'oauthbearer'
      /** Asked for at each connection, so that a token may be renewed. */
      readonly token: () => string | Promise<string>
    }

/** What `kafka()` takes. */
export interface KafkaOptions {
  /** `host:port` of one or several brokers; the others are found through them. Left out with a client of your own, which knows them. */
  readonly brokers?: string | readonly string[] | undefined
  /**
   * Which installed client speaks to the broker, or one that you have made: how it connects (brokers, TLS, login, sockets) is taken from it, the
   * connections are our own, and it stays yours to use and to close. Default `kafkajs`.
   */
  readonly client?: ClientName | Kafka | Admin | undefined
  /** True, or Node's TLS options: own CA, client certificate. */
  readonly tls?: boolean | TlsOptions | undefined
  readonly sasl?: SaslOptions | undefined
  /** Of what is sent; every codec is read. Default `none`. */
  readonly compression?: Compression | undefined
  /** What topics must have: new ones are made with it, existing ones below it are refused. Default: what the broker gives. */
  readonly replication?: { readonly factor?: number | undefined; readonly minInSync?: number | undefined } | undefined
  /**
   * Keeps the place of this process in its groups while it starts again (`group.instance.id`): who is back within `sessionTimeoutMs` finds its
   * partitions as they were, and meanwhile nobody reads them. Each process needs its own.
   */
  readonly instanceId?: string | undefined
  /** A consumer that is silent for so long loses its partitions. Default 10 s. */
  readonly sessionTimeoutMs?: number | undefined
  /** How long a partition that is taken away waits for its running handlers. Default 5 s. */
  readonly drainMs?: number | undefined
  /** Largest body that is sent; the topic's `max.message.bytes` must allow it. Default 1 MiB less room for headers. */
  readonly maxBytes?: number | undefined
}

/** How a topic of ours maps to what already exists: `topic('orders', { on: { kafka: { topic: 'shop.orders' } } })`. */
export interface KafkaMapping {
  /** The Kafka topic, as it is; neither namespace nor partitions are ours then. */
  readonly topic?: string | undefined
  /** Consumer groups by the names that we know them by. */
  readonly groups?: Readonly<Record<string, string>> | undefined
}

/** Names of the clients that we know to use. */
export type ClientName = 'kafkajs' | 'platformatic'

/** Where a broker listens. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}
/** How a client logs in. */
export type Login =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly user: string
      readonly password: string
    }
  | { readonly mechanism: 'oauthbearer'; readonly token: () => string | Promise<string> }

/** The options with their defaults. */
export interface Settings {
  readonly endpoints: readonly Endpoint[]
  readonly client: ClientName
  /** A client that the user made. */
  readonly given: Kafka | Admin | undefined
  readonly tls: TlsOptions | undefined
  readonly login: Login | undefined
  readonly compression: Compression
  readonly replicas: number | undefined
  readonly minInSync: number | undefined
  readonly instance: string | undefined
  readonly sessionMs: number
  readonly drainMs: number
  readonly maxBytes: number
}

/** What of a message is not body, at most. */
export const roomForHeaders = 65_536

const codecs: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const clients: readonly ClientName[] = ['kafkajs', 'platformatic']
const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const

const addresses: Rule = (value) =>
  typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'string'))
    ? undefined
    : 'host:port, or a list of such'
const secured: Rule = (value) =>
  typeof value === 'boolean' || object(value) === undefined ? undefined : "true, false or Node's TLS options"
const ownClients = "'kafkajs', 'platformatic', a Kafka of kafkajs or an Admin of @platformatic/kafka"
/** Copies of a partition: more than any cluster has. */
const copies = whole(1, 1_000)

const known: Shape & Readonly<Record<keyof KafkaOptions, Rule>> = {
  brokers: addresses,
  // Which one is looked at below, as `sasl` and `replication` are further.
  client: (value) => (typeof value === 'string' || object(value) === undefined ? undefined : ownClients),
  tls: secured,
  sasl: object,
  compression: oneOf(...codecs),
  replication: object,
  instanceId: text(200),
  sessionTimeoutMs: whole(500, 1_800_000),
  drainMs: whole(0, 600_000),
  maxBytes: whole(1, 1_073_741_824),
}
const ofReplication: Shape = { factor: copies, minInSync: copies }
/** What a password is may be in no message. */
const ofSasl: Shape = { mechanism: oneOf(...mechanisms), username: anything, password: anything, token: anything }
const ofMapping: Shape = { topic: text(249), groups: object }

/** Checks options and fills in what was not said. */
export function settingsOf(options: KafkaOptions): Settings {
  checkValue('kafka()', 'what it is given', options, adapterOptions("kafka({ brokers: 'kafka-1:9092' })"), true)
  checkOptions('kafka()', options, known)
  checkOptions('kafka(): replication', options.replication, ofReplication)
  const { sasl, client = 'kafkajs' } = options
  const { factor = Number.POSITIVE_INFINITY, minInSync = 1 } = options.replication ?? {}
  if (minInSync > factor)
    throw new MessagingError(
      'invalid',
      `kafka(): replication.minInSync is ${minInSync} and replication.factor ${factor}: no send would ever be acknowledged; give at most the factor`,
    )
  const given = typeof client === 'object' ? client : undefined
  const brokers = typeof options.brokers === 'string' ? options.brokers.split(',') : (options.brokers ?? [])
  if (given === undefined && brokers.length === 0)
    throw new MessagingError('invalid', 'kafka() needs at least one broker, as host:port')
  for (const name of ['brokers', 'tls', 'sasl'] as const)
    if (given !== undefined && options[name] !== undefined)
      throw new MessagingError('invalid', `kafka({ client, ${name} }): your own client says this; leave ${name} out`)
  return {
    endpoints: brokers.map((each) => endpointOf(each.trim())),
    client: typeof client === 'string' ? one('client', client, clients) : nameOfClient(client),
    given,
    tls: options.tls === true ? {} : options.tls === false ? undefined : options.tls,
    login: sasl === undefined ? undefined : loginOf(sasl),
    compression: options.compression ?? 'none',
    replicas: options.replication?.factor,
    minInSync: options.replication?.minInSync,
    instance: options.instanceId,
    sessionMs: options.sessionTimeoutMs ?? 10_000,
    drainMs: options.drainMs ?? 5_000,
    maxBytes: options.maxBytes ?? 1_048_576 - roomForHeaders,
  }
}

/** Whose instance it is; told by what only theirs have, since either may not be installed. */
function nameOfClient(given: object): ClientName {
  if ('producer' in given && 'consumer' in given && 'admin' in given) return 'kafkajs'
  if ('currentMetadata' in given && 'connections' in given) return 'platformatic'
  throw new MessagingError('invalid', `kafka({ client }): give ${ownClients}`)
}

function loginOf(sasl: SaslOptions): Login {
  checkOptions('kafka(): sasl', sasl, ofSasl, ['mechanism'])
  if (sasl.mechanism === 'oauthbearer') {
    checkValue('kafka(): sasl', 'token', sasl.token, callable, true)
    return { mechanism: sasl.mechanism, token: sasl.token }
  }
  for (const name of ['username', 'password'] as const)
    if (typeof sasl[name] !== 'string')
      throw new MessagingError(
        'invalid',
        `kafka(): sasl.${name} is no text; ${sasl.mechanism} needs username and password`,
      )
  return { mechanism: sasl.mechanism, user: sasl.username, password: sasl.password }
}

function endpointOf(text: string): Endpoint {
  const [host] = parseConnectionUrl(`kafka://${text}`, []).hosts
  if (host === undefined)
    throw new MessagingError('invalid', `${JSON.stringify(text)} is not a broker; write host:port`)
  return { host: host.host, port: host.port ?? 9092 }
}

function one<T extends string>(name: string, value: string, known: readonly T[]): T {
  if (known.includes(value as T)) return value as T
  throw new MessagingError('invalid', `${name} ${JSON.stringify(value)} is not known; known are ${known.join(', ')}`)
}

/** The user's `on.kafka`, checked; undefined where the topic is ours. */
export function mappingOf(on: unknown, topic: string): KafkaMapping | undefined {
  if (on === undefined) return undefined
  const call = `topic ${topic}: on.kafka`
  checkValue(call, 'what it is given', on, object, true)
  checkOptions(call, on, ofMapping)
  const { groups = {} } = on as KafkaMapping
  for (const name in groups) checkValue(`${call}: groups`, name, groups[name], text(249), true)
  return on as KafkaMapping
}

const parameters = ['client', 'compression', 'mechanism', 'tls', 'instanceId', 'sessionTimeoutMs'] as const

/** The options that a URL says: `kafka://user:password@host:9092,host:9092?mechanism=scram-sha-512`; `kafkas:` is TLS. */
export function optionsOfUrl(url: string): KafkaOptions {
  const parts = parseConnectionUrl(url, parameters)
  if (parts.scheme !== 'kafka' && parts.scheme !== 'kafkas')
    throw new MessagingError('invalid', `the scheme ${parts.scheme}: is not Kafka's; write kafka:// or kafkas://`)
  if (parts.hosts.length === 0)
    throw new MessagingError('invalid', 'a URL of Kafka needs a host, as in kafka://localhost:9092')
  if (parts.path !== '')
    throw new MessagingError('invalid', 'a URL of Kafka has no path; a prefix of all names is the option namespace')
  const given = (name: (typeof parameters)[number]): string | undefined => parts.parameters.get(name)
  const tls = given('tls')
  if (tls !== undefined && tls !== 'true' && tls !== 'false')
    throw new MessagingError('invalid', 'the parameter tls is true or false')
  const session = given('sessionTimeoutMs')
  if (session !== undefined && !/^\d+$/.test(session))
    throw new MessagingError('invalid', 'the parameter sessionTimeoutMs is a number of milliseconds')
  const mechanism = one('mechanism', given('mechanism') ?? 'plain', [
    'plain',
    'scram-sha-256',
    'scram-sha-512',
  ] as const)
  return {
    brokers: parts.hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port ?? 9092}`),
    client: one('client', given('client') ?? 'kafkajs', clients),
    compression: one('compression', given('compression') ?? 'none', codecs),
    tls: tls === undefined ? parts.scheme === 'kafkas' : tls === 'true',
    instanceId: given('instanceId'),
    ...(session === undefined ? {} : { sessionTimeoutMs: Number(session) }),
    ...(parts.user === undefined ? {} : { sasl: { mechanism, username: parts.user, password: parts.password ?? '' } }),
  }
}
