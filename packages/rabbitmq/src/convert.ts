// Our envelope as an AMQP message and back. Few and short properties: each byte of them costs throughput.
import { createHash } from 'node:crypto'
import {
  type Arrival,
  type Dispatch,
  decodePairs,
  encodeHeaders,
  MessagingError,
  type WireField,
} from '@posthorn/core/driver'
import type { Message } from 'amqplib'
import type { Properties } from './frames.ts'
import type { Names } from './names.ts'

/** Longest property and header name of AMQP. */
const longestShort = 255
const isShort = (text: string): boolean => text.length <= 85 || Buffer.byteLength(text) <= longestShort

/** Fields that need no header: they are properties, or the place where the message lies says them. */
const native: ReadonlySet<WireField> = new Set<WireField>([
  'id',
  'contentType',
  'sentAt',
  'priority',
  'replyTo',
  'correlationId',
  'group',
  'notBefore',
])

/** Header names that mean something to the broker or get lost on the way; ours is put before them. */
const reserved =
  /^(?:CC|BCC|__proto__|x-(?:first-|last-)?death(?:-.*)?|x-delivery-count|x-acquired-count|x-match|ph-h-.*)$/
const escaped = 'ph-h-'
/** Names that travel as they are: a service has few, and looking them up costs less than the expression. */
const plain = new Set<string>()
const mostPlain = 1_000

/** What goes before the body of a message. `nowMs` is when, for its expiry. */
export function propertiesOf(message: Dispatch, names: Names, nowMs: number): Properties {
  const { id, contentType, correlationId, replyTo, sentAt, expiresAt, priority } = message
  const odd = oddFields(message)
  const out: Properties = {}
  if (odd === undefined || odd.has('id')) out.messageId = id
  if (contentType !== undefined && (odd === undefined || odd.has('contentType'))) out.contentType = contentType
  if (correlationId !== undefined && (odd === undefined || odd.has('correlationId'))) out.correlationId = correlationId
  if (replyTo !== undefined && (odd === undefined || odd.has('replyTo'))) out.replyTo = names.address(replyTo)
  if (sentAt !== undefined) out.timestamp = Math.floor(sentAt / 1_000)
  if (priority !== undefined) out.priority = priority
  if (expiresAt !== undefined && message.notBefore === undefined && message.letter === undefined)
    out.expiration = Math.max(1, Math.ceil(expiresAt - nowMs))
  if (odd !== undefined || !isLean(message)) out.headers = headersOf(message, odd ?? native)
  return out
}

/** The native fields where one of them does not fit into its property and becomes a header; undefined where all fit. */
function oddFields(message: Dispatch): ReadonlySet<WireField> | undefined {
  const { id, contentType, correlationId, replyTo, sentAt } = message
  if (
    isShort(id) &&
    id !== '' &&
    (contentType === undefined || isShort(contentType)) &&
    (correlationId === undefined || isShort(correlationId)) &&
    (replyTo === undefined || isShort(replyTo)) &&
    (sentAt === undefined || readSentAt(id, Math.floor(sentAt / 1_000)) === sentAt)
  )
    return undefined
  const fit = new Set(native)
  if (!isShort(id) || id === '') fit.delete('id')
  if (contentType !== undefined && !isShort(contentType)) fit.delete('contentType')
  if (correlationId !== undefined && !isShort(correlationId)) fit.delete('correlationId')
  if (replyTo !== undefined && !isShort(replyTo)) fit.delete('replyTo')
  if (sentAt !== undefined && readSentAt(id, Math.floor(sentAt / 1_000)) !== sentAt) fit.delete('sentAt')
  return fit
}

/** Whether nothing of it needs a header. */
function isLean(message: Dispatch): boolean {
  if (
    message.key !== undefined ||
    message.tag !== undefined ||
    message.expiresAt !== undefined ||
    message.version !== undefined ||
    message.letter !== undefined ||
    message.generation !== 0 ||
    message.failures !== 0 ||
    message.lone !== 0 ||
    message.history.length !== 0
  )
    return false
  for (const _ in message.headers) return false
  return true
}

function headersOf(message: Dispatch, fit: ReadonlySet<WireField>): Record<string, string> {
  const headers = encodeHeaders(message, fit)
  for (const name in message.headers) {
    if (plain.has(name)) continue
    if (!isShort(name))
      throw new MessagingError(
        'invalid',
        `message ${message.id}: the header name ${name.slice(0, 40)}... has more than ${longestShort} bytes`,
      )
    if (!reserved.test(name)) {
      if (plain.size < mostPlain) plain.add(name)
      continue
    }
    const value = headers[name] as string
    delete headers[name]
    headers[escaped + name] = value
  }
  return headers
}

let lastMs = 0
let lastPrefix = ' '

/**
 * When a message was sent, from what AMQP has room for: whole seconds, and the ms that our ids begin with where they are of
 * that second. `propertiesOf` writes a header where this does not give the time back.
 */
function readSentAt(id: string, seconds: number): number {
  // Nearly always the ms of the message before.
  if (Math.floor(lastMs / 1_000) === seconds && id.length === 36 && id.startsWith(lastPrefix) && id[14] === '7')
    return lastMs
  if (id.length === 36 && id[14] === '7') {
    const ms = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
    if (Math.floor(ms / 1_000) === seconds) {
      lastMs = ms
      lastPrefix = id.slice(0, 14)
      return ms
    }
  }
  return seconds * 1_000
}

/** What `arrivalOf` needs beside the message. */
export interface Place {
  readonly names: Names
  /** The topic of everything in this queue; undefined where the routing key tells. */
  readonly topic: string | undefined
  readonly token: unknown
  /** Whether the broker counts deliveries: quorum queues do. */
  readonly counted: boolean
  /** Whether it is somebody else's: ids may mean something else there, and repeat. */
  readonly mapped: boolean
}

/** What came from the broker, in our form. Values come from strangers: nothing in them may throw. */
export function arrivalOf(message: Message, { names, topic, token, counted, mapped }: Place): Arrival {
  const { properties, content, fields } = message
  const raw = textHeaders(properties.headers)
  const decoded = raw === none ? lean : decodePairs(raw)
  const id = textOf(properties.messageId) ?? decoded.id ?? derivedId(message, raw)
  const seconds = properties.timestamp
  const replyTo = textOf(properties.replyTo)
  return {
    id,
    topic: topic ?? names.topicOfKey(fields.routingKey) ?? fields.routingKey,
    key: decoded.key,
    tag: decoded.tag,
    headers: decoded.headers,
    body: content,
    contentType: textOf(properties.contentType) ?? decoded.contentType,
    sentAt: decoded.sentAt ?? (isTime(seconds) ? readSentAt(id, seconds) : undefined),
    expiresAt: decoded.expiresAt,
    priority: typeof properties.priority === 'number' ? Math.min(properties.priority, 9) : undefined,
    version: decoded.version,
    generation: decoded.generation,
    failures: decoded.failures,
    history: decoded.history,
    lone: decoded.lone,
    replyTo: replyTo === undefined ? decoded.replyTo : names.topicOfAddress(replyTo),
    correlationId: textOf(properties.correlationId) ?? decoded.correlationId,
    token,
    deliveryCount: counted ? 1 + countOf(properties.headers) : fields.redelivered ? undefined : 1,
    position: undefined,
    fence: undefined,
    // A channel that dies takes its source along, which core hears of: no signal for each message.
    lost: undefined,
    foreign: mapped || (id.startsWith(hashed) && isHashed.test(id)),
  }
}

/** How often a quorum queue gave it out before: 4.3 counts by another name. */
function countOf(headers: Message['properties']['headers']): number {
  const count = headers?.['x-acquired-count'] ?? headers?.['x-delivery-count']
  return typeof count === 'number' ? count : 0
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

const none: readonly string[] = Object.freeze([])
/** What no headers say. */
const lean = Object.freeze(decodePairs(none))

/** Names and values as texts in turn, without what the broker added. */
function textHeaders(headers: Message['properties']['headers']): readonly string[] {
  let out: string[] | undefined
  for (const name in headers) {
    const ours = name.startsWith(escaped)
    if (!ours && !plain.has(name)) {
      if (reserved.test(name)) continue
      if (plain.size < mostPlain && isShort(name)) plain.add(name)
    }
    out ??= []
    out.push(ours ? name.slice(escaped.length) : name, textValue(headers[name]))
  }
  return out ?? none
}

function textValue(value: unknown): string {
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  if (typeof value !== 'object' || value === null) return String(value)
  const typed = value as { readonly '!'?: unknown; readonly value?: unknown }
  if (typed['!'] === 'decimal') return decimalText(typed.value)
  if (typed['!'] !== undefined) return String(typed.value)
  try {
    return JSON.stringify(value)
  } catch {
    return String(value)
  }
}

function decimalText(value: unknown): string {
  const { digits = 0, places = 0 } = (value ?? {}) as { readonly digits?: number; readonly places?: number }
  if (places === 0) return String(digits)
  const text = String(digits).padStart(places + 1, '0')
  return `${text.slice(0, -places)}.${text.slice(-places)}`
}

/** Whether it is a number of seconds that a date can hold: AMQP has room for more. */
const isTime = (seconds: unknown): seconds is number => typeof seconds === 'number' && seconds <= 8_640_000_000_000

/** How an id begins that no sender gave: whoever sends the message again gives it on, and it stays known for what it is. */
const hashed = 'sha256:'
const isHashed = /^sha256:[0-9a-f]{32}$/

/** The same for the same message however often it is delivered; the same also for two strangers' messages that are equal in all. */
function derivedId({ content, fields, properties }: Message, raw: readonly string[]): string {
  const hash = createHash('sha256')
  const { contentType, correlationId, replyTo, timestamp, type } = properties
  hash.update(JSON.stringify([fields.routingKey, contentType, correlationId, replyTo, timestamp, type, raw]))
  return hashed + hash.update(content).digest('hex').slice(0, 32)
}
