// From a value to the bytes of a message and back: schema, versions, codec. No promise unless the codec or the schema needs one.
import { bytes } from './codec/bytes.ts'
import { readingCodec } from './codec/choice.ts'
import { unpackedType } from './codec/content-type.ts'
import { json } from './codec/json.ts'
import { text } from './codec/text.ts'
import type { Envelope } from './driver/envelope.ts'
import { describe, isMessagingError, MessagingError } from './errors.ts'
import type { Codec, CodecContext, Encoded } from './face/messages.ts'
import { validated } from './schema.ts'
import type { TopicParts } from './topic.ts'

/**
 * Checks by the schema and encodes. What is written is what the caller gave, not what the schema made of it: the reader's schema
 * starts from the same input.
 */
export function encodeBody(parts: TopicParts, value: unknown, context: CodecContext): Encoded | Promise<Encoded> {
  if (parts.schema !== undefined) {
    const checked = validated(parts.schema, value, () => `the body for ${parts.name}`)
    if (checked instanceof Promise) return checked.then(() => encoded(parts, value, context))
  }
  return encoded(parts, value, context)
}

/** What a body must hold of a message to be read. */
export type Encased = Pick<Envelope, 'id' | 'topic' | 'headers' | 'body' | 'contentType' | 'version'>

/**
 * Reads a body by its content type, brings it up to the topic's version and checks it. Without parts (a pattern, a topic never
 * seen) the content type alone tells. Throws or rejects with `codec`, or `invalid` where the schema refuses.
 */
export function decodeBody(parts: TopicParts | undefined, message: Encased): unknown {
  const { contentType } = message
  const codec = parts === undefined ? codecNamed(contentType) : readingCodec(parts.codec, contentType)
  let value: unknown
  try {
    value = codec.decode(message.body, message)
  } catch (cause) {
    throw unreadable(codec, message, cause)
  }
  if (value instanceof Promise)
    return value.then(
      (each) => accepted(parts, message, each),
      (cause) => {
        throw unreadable(codec, message, cause)
      },
    )
  return accepted(parts, message, value)
}

function encoded(parts: TopicParts, value: unknown, context: CodecContext): Encoded | Promise<Encoded> {
  let result: Encoded | Promise<Encoded>
  try {
    result = parts.codec.encode(value, context)
  } catch (cause) {
    throw unwritable(parts, cause)
  }
  return result instanceof Promise ? encodedLater(parts, result) : checked(parts, result)
}

async function encodedLater(parts: TopicParts, result: Promise<Encoded>): Promise<Encoded> {
  const encoded = await result.catch((cause: unknown) => {
    throw unwritable(parts, cause)
  })
  return checked(parts, encoded)
}

function unwritable(parts: TopicParts, cause: unknown): MessagingError {
  if (isMessagingError(cause)) return cause
  const message = `the body for ${parts.name} could not be encoded as ${parts.codec.contentType}: ${reason(cause)}`
  return new MessagingError('codec', message, { cause })
}

function checked(parts: TopicParts, result: Encoded): Encoded {
  if (result instanceof Uint8Array || result?.bytes instanceof Uint8Array) return result
  throw new MessagingError(
    'codec',
    `the codec ${parts.codec.contentType} of ${parts.name} gave no bytes; let encode() return a Uint8Array or { bytes, headers }`,
  )
}

/** Who reads what no topic of ours describes: the content type tells, and JSON is tried where there is none. */
function codecNamed(contentType: string | undefined): Codec {
  if (contentType === undefined) return json
  const { type } = unpackedType(contentType)
  if (type === json.contentType || type.endsWith('+json')) return readingCodec(json, contentType)
  return readingCodec(type.startsWith('text/') ? text : bytes, contentType)
}

function unreadable(codec: Codec, message: Encased, cause: unknown): MessagingError {
  if (isMessagingError(cause)) return cause
  return new MessagingError(
    'codec',
    `the body of ${message.id} on ${message.topic} (${message.body.length} bytes) could not be read as ${codec.contentType}: ${reason(cause)}`,
    { cause },
  )
}

/** Why a codec failed. A parser's error quotes the body, which is nobody's business in a log. */
function reason(cause: unknown): string {
  return cause instanceof SyntaxError ? 'it is malformed' : describe(cause)
}

function accepted(parts: TopicParts | undefined, message: Encased, value: unknown): unknown {
  if (parts === undefined) return value
  const current = parts.version === undefined ? value : upcast(parts, message, value)
  if (parts.schema === undefined) return current
  const { schema } = parts
  const what = (): string => `the body of ${message.id} on ${message.topic}`
  return current instanceof Promise
    ? current.then((each) => validated(schema, each, what))
    : validated(schema, current, what)
}

/** Step by step to the version that is written now. What was sent before there were versions is of version 1; what is newer is left as it is. */
function upcast(parts: TopicParts, message: Encased, value: unknown): unknown {
  let current = value
  for (let version = message.version ?? 1; version < (parts.version as number); version++) {
    const step = parts.upcast?.[version]
    if (step === undefined)
      throw new MessagingError(
        'codec',
        `the body of ${message.id} on ${message.topic} is of version ${message.version ?? 1} and the topic of ${parts.version}; give topic() an upcast[${version}]`,
      )
    current =
      current instanceof Promise
        ? current.then((each) => stepped(message, version, step, each))
        : stepped(message, version, step, current)
  }
  return current
}

function stepped(message: Encased, version: number, step: (body: unknown) => unknown, value: unknown): unknown {
  const refuse = (cause: unknown): never => {
    const text = `the body of ${message.id} on ${message.topic} could not be brought from version ${version} to ${version + 1}: ${reason(cause)}`
    throw new MessagingError('codec', text, { cause })
  }
  try {
    const next = step(value)
    return next instanceof Promise ? next.catch(refuse) : next
  } catch (cause) {
    return refuse(cause)
  }
}
