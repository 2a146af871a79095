// A message as the seam takes it, made of topic, body and options.
import {
  date,
  longestMs,
  ms,
  object,
  type Rule,
  refused,
  type Shape,
  show,
  signal,
  text,
  transaction,
  whole,
} from '../checked.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { Traits } from '../driver/seam.ts'
import { isOwnHeader } from '../driver/wire.ts'
import { describe, MessagingError } from '../errors.ts'
import type { Encoded, MessageHeaders } from '../face/messages.ts'
import type { PostOptions } from '../face/sending.ts'
import type { Door } from './entrance.ts'

/** A dispatch before its body is encoded; nobody else has seen it yet. */
export type Draft = { -readonly [K in keyof Dispatch]: Dispatch[K] }

/** What answers to a request need. */
export interface Reply {
  readonly replyTo: string
  readonly correlationId: string
}

/** Largest body unless raised. */
export const defaultMaxBytes = 1_048_576
/** Most headers of one message. */
const mostHeaders = 100
/** Most characters of all names and values together: they travel in one frame on some brokers. */
const headerCharacters = 32_768

const noHeaders: Readonly<Record<string, string>> = Object.freeze({})
const noHistory: Dispatch['history'] = Object.freeze([])
const noBody = new Uint8Array(0)

const plainText =
  (max: number): Rule =>
  (value) =>
    text(max)(value) ?? (/\p{Cc}/u.test(value as string) ? 'text without control characters' : undefined)
const idRule: Rule = (value) =>
  plainText(255)(value) ?? (Buffer.byteLength(value as string) > 255 ? 'text of at most 255 bytes' : undefined)
const keyRule = text(1_024)
/** As a filter names it: what has a bar in it no filter could ask for. */
const tagRule: Rule = (value) =>
  plainText(255)(value) ??
  ((value as string).includes('|') ? "text without |: a filter parts tags by ||, as in 'a || b'" : undefined)
/** What `post` and each message of `sendBatch` may carry. */
export const postShape: Shape = {
  id: idRule,
  key: keyRule,
  tag: tagRule,
  headers: object,
  expiresInMs: ms(1),
  priority: whole(0, 9),
  partition: whole(0, 1_023),
  delayMs: ms(0),
  deliverAt: date,
}
/** What `send` takes besides. */
export const sendShape: Shape = { ...postShape, tx: transaction, signal }
/** What `sendBatch` takes for all. */
export const batchShape: Shape = {
  atomic: (value) => (typeof value === 'boolean' ? undefined : 'true or false'),
  tx: transaction,
  signal,
}
/** What `sendHalf` takes: no delay and no transaction of the caller's. */
export const halfShape: Shape = Object.fromEntries(
  Object.entries(sendShape).filter(([name]) => !['delayMs', 'deliverAt', 'tx'].includes(name)),
)

/** Everything of a message but its body; refuses what no transport would carry, and priorities that this one does not have. */
export function draftOf(
  door: Door,
  traits: Traits,
  adapter: string,
  now: number,
  id: string,
  key: string | undefined,
  options: PostOptions | undefined,
  reply: Reply | undefined,
): Draft {
  const { parts } = door
  const priority = options?.priority ?? parts.priority
  if (priority !== undefined && !traits.priority)
    throw new MessagingError(
      'unsupported',
      `${adapter} has no priorities, and a message for ${parts.name} has priority ${priority}; leave it out of the send and of topic()`,
    )
  const partition = options?.partition
  const partitions = door.declared?.spec.partitions ?? parts.partitions
  if (partition !== undefined && partition >= partitions)
    throw refused(`a message for ${parts.name}`, 'partition', partition, `a whole number from 0 to ${partitions - 1}`)
  const notBefore = options === undefined ? undefined : dueOf(parts.name, now, options)
  const expiresInMs = options?.expiresInMs ?? parts.expiresInMs
  return {
    id,
    topic: parts.name,
    key,
    tag: options?.tag,
    headers: options?.headers === undefined ? noHeaders : headersOf(parts.name, options.headers),
    body: noBody,
    contentType: parts.codec.contentType,
    sentAt: now,
    expiresAt: expiresInMs === undefined ? undefined : Math.ceil((notBefore ?? now) + expiresInMs),
    priority,
    version: parts.version,
    generation: 0,
    failures: 0,
    history: noHistory,
    lone: 0,
    replyTo: reply?.replyTo,
    correlationId: reply?.correlationId,
    group: undefined,
    partition,
    notBefore,
    letter: undefined,
  }
}

/** The key that was given, else what the topic's function says. */
export function keyOf(door: Door, body: unknown, given: string | undefined): string | undefined {
  const { key, name } = door.parts
  if (given !== undefined || key === undefined) return given
  let found: string | undefined
  try {
    found = key(body)
  } catch (cause) {
    throw new MessagingError('invalid', `topic ${name}: its key function failed on a body: ${describe(cause)}`, {
      cause,
    })
  }
  if (found === undefined) return undefined
  const instead = keyRule(found)
  if (instead === undefined) return found
  throw refused(`topic ${name}`, 'what its key function returned', found, `${instead}, or undefined for no key`)
}

/** Puts the encoded body in; refuses what is too large. */
export function fill(draft: Draft, encoded: Encoded, maxBytes: number): void {
  const bytes = encoded instanceof Uint8Array ? encoded : encoded.bytes
  if (bytes.length > maxBytes)
    throw new MessagingError(
      'too-large',
      `the body of ${draft.id} for ${draft.topic} has ${bytes.length} bytes and ${maxBytes} are allowed; pack it with gzip(), raise producer({ maxBytes }), or send a reference to it`,
    )
  draft.body = bytes
  // Of the codec's own: CloudEvents in binary mode.
  if (!(encoded instanceof Uint8Array) && encoded.headers !== undefined)
    draft.headers = headersOf(draft.topic, { ...draft.headers, ...encoded.headers })
}

/** Epoch ms when it is due; undefined: at once. A time that has passed is now. */
export function dueOf(
  topic: string,
  now: number,
  when: { readonly delayMs?: number | undefined; readonly deliverAt?: Date | undefined },
): number | undefined {
  const { delayMs, deliverAt } = when
  if (delayMs === undefined && deliverAt === undefined) return undefined
  if (delayMs !== undefined && deliverAt !== undefined)
    throw new MessagingError('invalid', `a message for ${topic} has both delayMs and deliverAt; give one of them`)
  // Rounded up: a delay is never early.
  const due = Math.ceil(deliverAt === undefined ? now + (delayMs as number) : deliverAt.getTime())
  if (due > now + longestMs)
    throw refused(`a message for ${topic}`, 'deliverAt', deliverAt, 'a time within the next ten years')
  return due > now ? due : undefined
}

/** A copy without what is undefined. */
function headersOf(topic: string, given: MessageHeaders): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  let count = 0
  let characters = 0
  for (const name in given) {
    const value = given[name]
    if (value === undefined) continue
    const wrong = headerFault(name, value)
    if (wrong !== undefined)
      throw new MessagingError('invalid', `a message for ${topic}: header ${show(name)} ${wrong}`)
    headers[name] = value
    count++
    characters += name.length + value.length
  }
  if (count > mostHeaders || characters > headerCharacters)
    throw new MessagingError(
      'too-large',
      `a message for ${topic} has ${count} headers of ${characters} characters; ${mostHeaders} of ${headerCharacters} are allowed: put what is large into the body`,
    )
  return headers
}

function headerFault(name: string, value: unknown): string | undefined {
  if (typeof value !== 'string') return `is ${show(value)}; give a string`
  if (isOwnHeader(name.toLowerCase())) return 'is a name of ours; names that begin with ph- and content-type are taken'
  if (name === '' || name.length > 200 || name === '__proto__' || /\p{Cc}/u.test(name) || !name.isWellFormed())
    return 'has a name that not every broker carries; give 1 to 200 characters without control characters'
  if (value.includes('\0') || !value.isWellFormed())
    return 'has a value with NUL or half a surrogate pair, which no wire carries; encode it, in base64 for one'
  return undefined
}
