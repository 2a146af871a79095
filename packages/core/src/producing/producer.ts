import type { Runtime } from '../broker/runtime.ts'
import {
  callable,
  checkOptions,
  checkValue,
  flag,
  listOf,
  ms,
  object,
  type Rule,
  type Shape,
  show,
  whole,
} from '../checked.ts'
import { MessagingError } from '../errors.ts'
import type { AnyTopic, Topic } from '../face/messages.ts'
import type { MessageOptions, Producer, ProducerOptions, Receipt, SendOptions } from '../face/sending.ts'
import { batches } from './batches.ts'
import { chainOf } from './chain.ts'
import { batchShape, type Draft, defaultMaxBytes, halfShape, postShape, type Reply, sendShape } from './dispatch.ts'
import type { Door } from './entrance.ts'
import { checkHalf, sendHalf } from './half.ts'
import { lacksKeeper } from './holding.ts'
import { defaultTimeoutMs, messagingError, noExtras, outbound } from './outbound.ts'
import { passing } from './passing.ts'
import { cancel, reschedule } from './recall.ts'

/** A producer with what only the broker itself calls. */
export interface Sender extends Producer {
  /** `send` with an address for the answer. */
  sendRequest<In>(
    topic: Topic<In, unknown>,
    body: In,
    options: MessageOptions & { readonly signal?: AbortSignal | undefined },
    reply: Reply,
  ): Promise<Receipt>
}

/** A message that waits is kept in memory: this many are no burden, and enough for full batches of any broker. */
const defaultBuffer = 10_000

const extensionRule: Rule = (value) =>
  object(value) === undefined && callable((value as { readonly send?: unknown }).send) === undefined
    ? undefined
    : 'an extension with send: (next) => (out) => ...'

const producerShape: Shape = {
  spool: flag,
  sendTimeoutMs: ms(1, 24 * 3_600_000),
  buffer: whole(1, 10_000_000),
  lingerMs: ms(0, 60_000),
  maxBytes: whole(1, 2_147_483_647),
  use: listOf(extensionRule),
}

/** Makes a producer. */
export function createProducer(runtime: Runtime, options?: ProducerOptions): Sender {
  checkOptions('producer()', options, producerShape)
  const spool = options?.spool ?? false
  if (spool && runtime.keeper === undefined) throw lacksKeeper(runtime, 'producer({ spool: true })')
  const out = outbound(runtime, {
    spool,
    sendTimeoutMs: options?.sendTimeoutMs ?? defaultTimeoutMs,
    buffer: options?.buffer ?? defaultBuffer,
    lingerMs: options?.lingerMs ?? 0,
    maxBytes: largest(runtime, options?.maxBytes),
  })
  const { counts, entrance, flush, owner } = out
  const way = passing(out, chainOf([...runtime.sendUse, ...(options?.use ?? [])]))
  const { pass, refuse } = way
  const batch = batches(runtime, out, way)
  let posted = 0
  let dropped = 0

  function doorOf(call: string, topic: AnyTopic): Door {
    runtime.open(call)
    return entrance.of(topic)
  }
  /** A send outside the transaction that its flow holds open would wait for its own end. */
  function outside(tx: unknown): void {
    const refusal = tx === undefined ? runtime.driver.refusal?.() : undefined
    if (refusal !== undefined) throw refusal
  }
  function one(
    topic: AnyTopic,
    body: unknown,
    asked: SendOptions | undefined,
    reply: Reply | undefined,
  ): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      try {
        const door = doorOf('send()', topic)
        outside(asked?.tx)
        if (asked === undefined && reply === undefined) return pass(door, body, undefined, noExtras, resolve, reject)
        checkOptions('send()', asked, sendShape)
        pass(door, body, asked, { tx: asked?.tx, signal: asked?.signal, reply }, resolve, reject)
      } catch (error) {
        reject(refuse(error))
      }
    })
  }

  return {
    send: (topic, body, asked) => one(topic, body, asked, undefined),
    sendRequest: (topic, body, asked, reply) => one(topic, body, asked, reply),
    async sendBatch(topic, messages, asked) {
      const door = doorOf('sendBatch()', topic)
      checkOptions('sendBatch()', asked, batchShape)
      if (!Array.isArray(messages))
        throw new MessagingError('invalid', `sendBatch(): the messages are ${show(messages)}; give a list of { body }`)
      if (messages.length === 0) return []
      outside(asked?.tx)
      if (asked?.signal?.aborted === true)
        throw new MessagingError('aborted', 'sendBatch(): it was aborted before it began', {
          cause: asked.signal.reason,
        })
      return batch(door, messages, asked?.atomic === true, { tx: asked?.tx, signal: asked?.signal, reply: undefined })
    },
    post(topic, body, asked) {
      if (flush.open >= owner.buffer) {
        dropped++
        return
      }
      try {
        const door = doorOf('post()', topic)
        checkOptions('post()', asked, postShape)
        pass(door, body, asked, noExtras, nobody, nobody)
        posted++
      } catch (error) {
        // Nobody waits for it: the event is all there is to hear.
        const name = (topic as { readonly name?: unknown } | undefined)?.name
        out.failed(
          typeof name === 'string' ? name : '',
          typeof asked?.id === 'string' ? asked.id : '',
          messagingError(error),
        )
      }
    },
    cancel: (message, asked) => cancel(runtime, owner.timeoutMs, message, asked),
    reschedule: (message, when, asked) => reschedule(runtime, owner.timeoutMs, message, when, asked),
    async sendHalf(topic, body, work, asked) {
      const door = doorOf('sendHalf()', topic)
      checkOptions('sendHalf()', asked, halfShape)
      checkValue('sendHalf()', 'the work', work, callable, true)
      checkHalf(runtime, door.parts.name)
      outside(undefined)
      let result: { readonly value: Awaited<ReturnType<typeof work>> } | undefined
      let begun = false
      const receipt = await way.through(door, body, asked, async (given) => {
        if (begun) throw new MessagingError('invalid', 'a send middleware sent a half message twice; call next once')
        begun = true
        const draft: Draft = out.draft(door, given.id, given.key, given)
        const half = await sendHalf(runtime, out, door, given.body, draft, asked?.signal, work)
        result = { value: half.result as Awaited<ReturnType<typeof work>> }
        return half.receipt
      })
      if (result === undefined)
        throw new MessagingError(
          'invalid',
          'a send middleware kept a half message back, so its work never ran; let it throw instead',
        )
      return { receipt, result: result.value }
    },
    stats: () => ({ ...counts, posted, dropped, pending: flush.open }),
    flush: () => flush.flush(),
  }
}

/** The largest body: 1 MiB unless raised, as far as the broker goes. */
function largest({ name, traits }: Runtime, asked: number | undefined): number {
  if (asked !== undefined && asked > traits.maxBytes)
    throw new MessagingError(
      'unsupported',
      `producer({ maxBytes: ${asked} }): ${name} carries bodies of at most ${traits.maxBytes} bytes; send a reference to what is larger`,
    )
  return asked ?? Math.min(defaultMaxBytes, traits.maxBytes)
}

const nobody = (): void => {}
