// CloudEvents 1.0 in binary mode: the data is the body, the attributes are headers.
import { checkOptions, checkValue, oneOf, type Rule, type Shape } from '../checked.ts'
import { MessagingError } from '../errors.ts'
import type { Codec, CodecContext, Encoded } from '../face/messages.ts'
import { json } from './json.ts'
import { codecRule } from './rule.ts'

/** The attributes that CloudEvents requires beside the id, which is the message's own. */
export interface CloudEventsOptions {
  /** A URI reference that names who sends, as `/shop/orders`. */
  readonly source: string
  /** As `com.example.order.created`; or made of the message. */
  readonly type: string | ((message: CodecContext) => string)
  /** As the protocol's binding has it: `ce-` (HTTP, NATS; the default), `ce_` (Kafka), `cloudEvents:` (AMQP). */
  readonly prefix?: 'ce-' | 'ce_' | 'cloudEvents:' | undefined
}

/**
 * Bodies of `inner` with the headers `ce-specversion`, `ce-id`, `ce-source` and `ce-type`; the data's content type is the message's. A header
 * that the sender set itself stays. Reading takes messages with and without them, and refuses another major version.
 */
export function cloudEvents(inner: Codec | undefined, options: CloudEventsOptions): Codec {
  checkValue('cloudEvents()', 'the codec of its data', inner, codecRule)
  checkOptions('cloudEvents()', options, cloudEventsShape, ['source', 'type'])
  const { source, type, prefix = 'ce-' } = options
  const data = inner ?? json
  const add = (encoded: Encoded, message: CodecContext): Encoded => {
    const headers: Record<string, string | undefined> = {
      [`${prefix}specversion`]: '1.0',
      [`${prefix}id`]: message.id,
      [`${prefix}source`]: source,
      [`${prefix}type`]: typeof type === 'function' ? made(type(message)) : type,
    }
    for (const name of Object.keys(headers))
      if (message.headers[name] !== undefined) headers[name] = message.headers[name]
    return encoded instanceof Uint8Array
      ? { bytes: encoded, headers }
      : { bytes: encoded.bytes, headers: { ...encoded.headers, ...headers } }
  }
  return {
    contentType: data.contentType,
    encode(value, message) {
      const encoded = data.encode(value, message)
      return encoded instanceof Promise ? encoded.then((each) => add(each, message)) : add(encoded, message)
    },
    decode(body, message) {
      const version = message.headers[`${prefix}specversion`]
      if (version !== undefined && !/^1\.\d{1,3}$/.test(version))
        throw new MessagingError(
          'codec',
          `cloudEvents: a message on '${message.topic}' has specversion ${JSON.stringify(version.slice(0, 20))}; 1.0 is read here`,
        )
      return data.decode(body, message)
    },
  }
}

/** CloudEvents allows no control characters and no half surrogates. */
const attribute: Rule = (value) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  typeof value !== 'string' || value === '' || /[\u0000-\u001f\u007f-\u009f]/.test(value) || !value.isWellFormed()
    ? 'a text that is not empty, without control characters'
    : undefined

const cloudEventsShape = {
  source: attribute,
  type: (value) => (typeof value === 'function' ? undefined : attribute(value)),
  prefix: oneOf('ce-', 'ce_', 'cloudEvents:'),
} satisfies Shape

function made(type: unknown): string {
  checkValue('cloudEvents()', 'what type() made', type, attribute, true)
  return type as string
}
