import type { BodyOf, Delivery, Producer, SendOptions, Source, Topic } from '@posthorn/core'
import { anything, checkOptions, checkValue, newId, type Rule, type Shape } from '@posthorn/core/driver'

/** A message that a handler sent by `delivery.producer`. */
export interface Recorded {
  readonly topic: string
  readonly body: unknown
  readonly options: SendOptions | undefined
}

/** A producer that sends nothing and remembers everything. */
export interface RecordingProducer extends Producer {
  readonly sent: readonly Recorded[]
}

const sourceRule: Rule = (value) =>
  typeof value === 'object' && value !== null && '~topic' in value ? undefined : 'what topic() or pattern() returned'

/** A delivery as a handler would get it, to test the handler alone; what matters to the test goes into `over`. */
export function delivery<S extends Source>(
  from: S,
  body: BodyOf<S>,
  over: Partial<Delivery<BodyOf<S>>> = {},
): Delivery<BodyOf<S>> & { readonly producer: RecordingProducer } {
  checkValue('delivery()', 'its source', from, sourceRule, true)
  const producer = recordingProducer()
  const topic = 'pattern' in from ? from.pattern : (from as Topic<never, BodyOf<S>>).name
  const plain = {
    body,
    id: newId(Date.now()),
    key: keyOf(from, body),
    tag: undefined,
    headers: {},
    topic,
    group: 'test',
    attempt: 1,
    deliveryCount: 1,
    fence: undefined,
    position: undefined,
    sentAt: new Date(),
    signal: new AbortController().signal,
    tx: undefined,
    replay: false,
    producer,
  }
  const shape: Shape = Object.fromEntries(Object.keys(plain).map((name) => [name, anything]))
  checkOptions('delivery()', over, shape)
  return { ...plain, ...over, producer: (over.producer as RecordingProducer | undefined) ?? producer }
}

/** A producer for tests of what sends. */
export function recordingProducer(): RecordingProducer {
  const sent: Recorded[] = []
  const take = (topic: { readonly name: string }, body: unknown, options: SendOptions | undefined) => {
    sent.push({ topic: topic.name, body, options })
    return { id: options?.id ?? newId(Date.now()), topic: topic.name, held: 'broker' as const }
  }
  return {
    sent,
    send: async (topic, body, options) => take(topic, body, options),
    sendBatch: async (topic, messages, options) =>
      messages.map(({ body, ...each }) => ({ ok: true, receipt: take(topic, body, { ...each, tx: options?.tx }) })),
    post: (topic, body, options) => void take(topic, body, options),
    cancel: async () => 'unknown',
    reschedule: async () => 'unknown',
    async sendHalf(topic, body, work, options) {
      const id = options?.id ?? newId(Date.now())
      const result = await work({ id, signal: new AbortController().signal })
      return { receipt: take(topic, body, { ...options, id }), result }
    },
    stats: () => ({ sent: sent.length, failed: 0, unknown: 0, posted: 0, dropped: 0, pending: 0 }),
    flush: async () => {},
  }
}

function keyOf(from: Source, body: unknown): string | undefined {
  const { key } = from['~topic'] as { readonly key?: ((body: unknown) => string | undefined) | undefined }
  return key?.(body)
}
