import { readFileSync } from 'node:fs'
import { adapterOptions, checkValue, MessagingError, parseConnectionUrl, withoutSecrets } from '@posthorn/core/driver'
import type { ChannelModel } from 'amqplib'

/** Where RabbitMQ is, who we are there, and what queues are made of. */
export interface RabbitOptions {
  /** `amqp://user:password@host:port,host:port/vhost` or `amqps://...`; further settings as parameters. Not with `connection`. */
  readonly url?: string | undefined
  /** A connection of amqplib that is already open: used for everything, never closed, never opened again. */
  readonly connection?: ChannelModel | undefined
  /** How we log in: by password, or by the client certificate alone. Default `plain`. */
  readonly login?: 'plain' | 'external' | undefined
  readonly tls?: RabbitTls | undefined
  /**
   * Seconds between signs of life, 1 to 60. A peer that is silent for two to three of them is gone, and what it held comes to others: within 12 s by the
   * default, 4.
   */
  readonly heartbeatS?: number | undefined
  /** Of group queues: `quorum` (replicated, safe; the default) or `classic` (one node, strict priorities). */
  readonly queueType?: 'quorum' | 'classic' | undefined
  /** Longest that a group queue may grow. Default: as long as the disk lasts. */
  readonly maxLength?: number | undefined
  /**
   * What happens beyond `maxLength`: `reject` fails the send as `throttled` (the default); `dead-letter` takes the oldest message out of the queue and
   * puts it on the shelf, with cause `overflow`, which the broker does not confirm: a crash in that moment loses it.
   */
  readonly overflow?: 'reject' | 'dead-letter' | undefined
  /** Further arguments of group queues, such as `x-queue-leader-locator` or, for classic ones before 3.12, `x-queue-mode`. */
  readonly queueArguments?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** Certificates, as PEM text or bytes. */
export interface RabbitTls {
  readonly ca?: string | Buffer | undefined
  readonly cert?: string | Buffer | undefined
  readonly key?: string | Buffer | undefined
  readonly passphrase?: string | undefined
  /** The name that the server's certificate must bear where it is not the host's. */
  readonly servername?: string | undefined
}

/** What already exists and belongs to somebody else: `topic(name, { on: { rabbitmq: ... } })`. Nothing of it is ever declared. */
export interface RabbitMapping {
  /** Messages are published to it. Without one they go to `queue`. */
  readonly exchange?: string | undefined
  /** They are published with it, and a queue of ours is bound by it. Default ''. */
  readonly routingKey?: string | undefined
  /** It is read, whatever the group. Without one a group gets a queue of ours, bound to `exchange`. */
  readonly queue?: string | undefined
  /** A stream: sent to, where there is no exchange, and read with `mode: 'broadcast'`, each reader for itself, from where `from` says. */
  readonly stream?: string | undefined
  /** Of the exchange; tells how a queue of ours is bound. Default `topic`. */
  readonly type?: 'direct' | 'topic' | 'fanout' | 'headers' | undefined
  /** What a queue of ours is bound by where `type` is `headers`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** The options with their defaults, read and checked. */
export interface RabbitSettings {
  readonly endpoints: readonly { readonly host: string; readonly port: number }[]
  readonly secure: boolean
  readonly user: string
  readonly password: string
  readonly vhost: string
  readonly connection: ChannelModel | undefined
  readonly login: 'plain' | 'external'
  readonly tls: RabbitTls
  readonly heartbeatS: number
  readonly queueType: 'quorum' | 'classic'
  readonly maxLength: number | undefined
  readonly overflow: 'reject' | 'dead-letter'
  readonly queueArguments: Readonly<Record<string, string | number | boolean>>
  /** Without secrets. */
  readonly address: string
}

const knownOptions = [
  'url',
  'connection',
  'login',
  'tls',
  'heartbeatS',
  'queueType',
  'maxLength',
  'overflow',
  'queueArguments',
]
const knownParameters = [
  'heartbeatS',
  'queueType',
  'maxLength',
  'overflow',
  'login',
  'ca',
  'cert',
  'key',
  'passphrase',
  'servername',
]

const refuse = (what: string): never => {
  throw new MessagingError('invalid', `rabbitmq(): ${what}`)
}

/** Checks options and fills in defaults. */
export function settingsOf(options: RabbitOptions): RabbitSettings {
  checkValue(
    'rabbitmq()',
    'what it is given',
    options,
    adapterOptions("rabbitmq({ url: 'amqp://rabbit-1/shop' })"),
    true,
  )
  for (const name of Object.keys(options))
    if (!knownOptions.includes(name)) refuse(`there is no option ${name}; there are ${knownOptions.join(', ')}`)
  const { url, connection, login = 'plain', tls = {}, heartbeatS = 4, queueType = 'quorum', maxLength } = options
  const { overflow = 'reject', queueArguments = {} } = options
  if ((url === undefined) === (connection === undefined)) refuse('give either url or connection')
  if (login !== 'plain' && login !== 'external') refuse("login is 'plain' or 'external'")
  if (!(Number.isInteger(heartbeatS) && heartbeatS >= 1 && heartbeatS <= 60)) refuse('heartbeatS is 1 to 60 seconds')
  if (queueType !== 'quorum' && queueType !== 'classic') refuse("queueType is 'quorum' or 'classic'")
  if (maxLength !== undefined && !(Number.isInteger(maxLength) && maxLength > 0))
    refuse('maxLength is a number of messages')
  if (overflow !== 'reject' && overflow !== 'dead-letter') refuse("overflow is 'reject' or 'dead-letter'")
  if (overflow === 'dead-letter' && maxLength === undefined) refuse("overflow: 'dead-letter' needs maxLength")
  for (const name of Object.keys(queueArguments))
    if (!name.startsWith('x-') || ownArguments.has(name))
      refuse(`queueArguments cannot have ${name}; it is for arguments that begin with x- and that no option sets`)
  const place = url === undefined ? nowhere : placeOf(url)
  if (login === 'external' && !(place.secure && tls.cert !== undefined))
    refuse("login: 'external' needs amqps:// and tls: { cert, key }")
  return { ...place, connection, login, tls, heartbeatS, queueType, maxLength, overflow, queueArguments }
}

/** What the options and the topics decide. */
const ownArguments = new Set([
  'x-queue-type',
  'x-delivery-limit',
  'x-max-length',
  'x-overflow',
  'x-max-priority',
  'x-single-active-consumer',
  'x-dead-letter-exchange',
  'x-dead-letter-routing-key',
  'x-dead-letter-strategy',
  'x-message-ttl',
  'x-expires',
])

type Place = Pick<RabbitSettings, 'endpoints' | 'secure' | 'user' | 'password' | 'vhost' | 'address'>

const nowhere: Place = {
  endpoints: [],
  secure: false,
  user: '',
  password: '',
  vhost: '/',
  address: 'a given connection',
}

function placeOf(url: string): Place {
  const { scheme, user, password, hosts, path } = parseConnectionUrl(url, knownParameters)
  if (scheme !== 'amqp' && scheme !== 'amqps') refuse(`${withoutSecrets(url)} does not begin with amqp:// or amqps://`)
  if (Buffer.byteLength(path) > 255) refuse('the name of a virtual host has at most 255 bytes')
  const secure = scheme === 'amqps'
  const port = secure ? 5671 : 5672
  return {
    endpoints: (hosts.length === 0 ? [{ host: 'localhost', port: undefined }] : hosts).map((each) => ({
      host: each.host,
      port: each.port ?? port,
    })),
    secure,
    user: user ?? 'guest',
    password: password ?? (user === undefined ? 'guest' : ''),
    // `amqp://host` and `amqp://host/` both mean the default; the virtual host '/' is written %2F.
    vhost: path === '' ? '/' : path,
    address: withoutSecrets(url),
  }
}

/** Reads `amqp://...` and `amqps://...`, with the options as parameters; certificates by file name. */
export function optionsFromUrl(url: string): RabbitOptions {
  const { parameters } = parseConnectionUrl(url, knownParameters)
  const number = (name: string): number | undefined => {
    const text = parameters.get(name)
    return text === undefined ? undefined : Number(text)
  }
  const file = (name: string): Buffer | undefined => {
    const path = parameters.get(name)
    if (path === undefined) return undefined
    try {
      return readFileSync(path)
    } catch (cause) {
      throw new MessagingError('invalid', `rabbitmq(): the file that ${name}= names cannot be read`, { cause })
    }
  }
  return {
    url,
    login: parameters.get('login') as RabbitOptions['login'],
    heartbeatS: number('heartbeatS'),
    queueType: parameters.get('queueType') as RabbitOptions['queueType'],
    maxLength: number('maxLength'),
    overflow: parameters.get('overflow') as RabbitOptions['overflow'],
    tls: {
      ca: file('ca'),
      cert: file('cert'),
      key: file('key'),
      passphrase: parameters.get('passphrase'),
      servername: parameters.get('servername'),
    },
  }
}

const mappingKeys = ['exchange', 'routingKey', 'queue', 'stream', 'type', 'headers']

/** The mapping of a topic, checked; undefined where the topic is ours. */
export function mappingOf(on: unknown, topic: string): RabbitMapping | undefined {
  if (on === undefined) return undefined
  const wrong = (what: string): never => {
    throw new MessagingError('invalid', `topic ${topic}: on.rabbitmq ${what}`)
  }
  if (typeof on !== 'object' || on === null) wrong('is { exchange, routingKey, queue, type }')
  const mapping = on as RabbitMapping
  for (const name of Object.keys(mapping))
    if (!mappingKeys.includes(name)) wrong(`has no ${name}; there are ${mappingKeys.join(', ')}`)
  for (const name of ['exchange', 'routingKey', 'queue', 'stream'] as const)
    if (mapping[name] !== undefined && typeof mapping[name] !== 'string') wrong(`{ ${name} } is a text`)
  const { exchange, queue, stream } = mapping
  if (exchange === undefined && queue === undefined && stream === undefined)
    wrong('names an exchange, a queue, a stream, or an exchange and one of the others')
  if (queue !== undefined && stream !== undefined) wrong('names a queue or a stream, not both')
  if (mapping.type !== undefined && !['direct', 'topic', 'fanout', 'headers'].includes(mapping.type))
    wrong("{ type } is 'direct', 'topic', 'fanout' or 'headers'")
  return mapping
}
