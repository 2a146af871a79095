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
import { type MessagingError, MessagingError as Refusal } from '../errors.ts'
import type { Outgoing } from '../face/extending.ts'
import type { AnyTopic, Topic } from '../face/messages.ts'
import type {
  MessageOptions,
  PostOptions,
  Producer,
  ProducerOptions,
  Receipt,
  SendOptions,
  Sent,
} from '../face/sending.ts'
import { joining } from './batches.ts'
import { chainOf } from './chain.ts'
import { batchShape, type Draft, defaultMaxBytes, halfShape, postShape, type Reply, sendShape } from './dispatch.ts'
import type { Door } from './entrance.ts'
import { checkHalf, sendHalf } from './half.ts'
import { lacksKeeper } from './holding.ts'
import { defaultTimeoutMs, type Extras, messagingError, noExtras, outbound } from './outbound.ts'
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
  use: listOf(extensionRule),
}

type Item = { readonly body: unknown } & PostOptions
const itemShape: Shape = { ...postShape, body: () => undefined }

/** Makes a producer. `maxBytes` raises the largest body, as far as the driver goes. */
export function createProducer(
  runtime: Runtime,
  options?: ProducerOptions,
  limits: { readonly maxBytes?: number | undefined } = {},
): Sender {
  checkOptions('producer()', options, producerShape)
  const spool = options?.spool ?? false
  if (spool && runtime.keeper === undefined) throw lacksKeeper(runtime, 'producer({ spool: true })')
  const out = outbound(runtime, {
    spool,
    sendTimeoutMs: options?.sendTimeoutMs ?? defaultTimeoutMs,
    buffer: options?.buffer ?? defaultBuffer,
    lingerMs: options?.lingerMs ?? 0,
    maxBytes: Math.min(limits.maxBytes ?? defaultMaxBytes, runtime.traits.maxBytes),
  })
  const { counts, entrance, flush, owner } = out
  const chain = chainOf([...runtime.sendUse, ...(options?.use ?? [])])
  let posted = 0
  let dropped = 0

  /** One message, through the middlewares if there are any. Throws what can be refused at once. */
  function pass(
    door: Door,
    body: unknown,
    asked: SendOptions | undefined,
    extras: Extras,
    resolve: (receipt: Receipt) => void,
    reject: (error: MessagingError) => void,
  ): void {
    if (chain === undefined) {
      out.go(door, body, asked, undefined, extras, resolve, reject)
      return
    }
    const outgoing = outgoingOf(door, body, asked)
    const epoch = flush.begin()
    // A failure is counted once: by the way out, or here if no middleware let the message come so far.
    let told = false
    chain(outgoing, (given) => {
      const { id, key } = given
      return new Promise((done, failed) => {
        told = true
        try {
          out.go(door, given.body, given, { id, key }, extras, done, failed)
        } catch (error) {
          failed(refuse(error))
        }
      })
    }).then(
      (receipt) => {
        flush.end(epoch)
        resolve(receipt)
      },
      (error) => {
        if (!told) out.failed(outgoing.topic, outgoing.id, messagingError(error))
        flush.end(epoch)
        reject(error)
      },
    )
  }
  function outgoingOf(door: Door, body: unknown, asked: PostOptions | undefined): Outgoing {
    return {
      id: out.idOf(asked?.id),
      topic: door.parts.name,
      key: out.keyOf(door, body, asked?.key),
      tag: asked?.tag,
      headers: asked?.headers ?? {},
      body,
      expiresInMs: asked?.expiresInMs,
      priority: asked?.priority,
      partition: asked?.partition,
      delayMs: asked?.delayMs,
      deliverAt: asked?.deliverAt,
    }
  }
  function doorOf(call: string, topic: AnyTopic): Door {
    runtime.open(call)
    return entrance.of(topic)
  }
  function refuse(error: unknown): MessagingError {
    counts.failed++
    return messagingError(error)
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
        if (asked === undefined && reply === undefined) return pass(door, body, undefined, noExtras, resolve, reject)
        checkOptions('send()', asked, sendShape)
        pass(door, body, asked, { tx: asked?.tx, signal: asked?.signal, reply }, resolve, reject)
      } catch (error) {
        reject(refuse(error))
      }
    })
  }

  /** Each by itself, with one answer when all are there. */
  function separate(door: Door, items: readonly unknown[], extras: Extras): Promise<readonly Sent[]> {
    return new Promise((resolve) => {
      const sent: Sent[] = new Array(items.length)
      let left = items.length
      const put = (n: number, each: Sent): void => {
        sent[n] = each
        if (--left === 0) resolve(sent)
      }
      items.forEach((item, n) => {
        try {
          const { body } = checkedItem(item, n)
          pass(
            door,
            body,
            item as Item,
            extras,
            (receipt) => put(n, { ok: true, receipt }),
            (error) => put(n, { ok: false, error: messagingError(error) }),
          )
        } catch (error) {
          put(n, { ok: false, error: refuse(error) })
        }
      })
    })
  }
  /** With one fate: one batch of the broker, one insert of the keeper, or one transaction of the caller's. */
  async function joint(
    door: Door,
    items: readonly unknown[],
    atomic: boolean,
    extras: Extras,
  ): Promise<readonly Sent[]> {
    const { tx, signal } = extras
    const batch = joining(items.length, atomic, async (drafts) => {
      if (tx !== undefined) return each(drafts, await out.inTransaction(door, drafts, tx, signal))
      const scheduled = drafts.filter((draft) => out.isScheduled(draft)).length
      if (scheduled === drafts.length) return out.scheduled(drafts, door, signal)
      if (scheduled > 0)
        throw new Refusal(
          'unsupported',
          'an atomic batch waits in the store as a whole or not at all; give all its messages a delay, or none',
        )
      return out.together(drafts, door, signal)
    })
    const epoch = flush.begin()
    const since = runtime.clock.now()
    const settled = await Promise.allSettled(items.map((item, n) => joined(door, item, n, batch)))
    flush.end(epoch)
    return settled.map((each): Sent => {
      if (each.status === 'fulfilled') {
        out.succeeded(door.parts.name, each.value.id, since)
        return { ok: true, receipt: each.value }
      }
      const error = messagingError(each.reason)
      out.failed(door.parts.name, '', error)
      return { ok: false, error }
    })
  }
  async function joined(door: Door, item: unknown, n: number, batch: ReturnType<typeof joining>): Promise<Receipt> {
    try {
      const { body } = checkedItem(item, n)
      const through = async (given: Outgoing): Promise<Receipt> => {
        const draft = out.draft(door, given.id, given.key, given)
        await out.encode(door, given.body, draft)
        return batch.join(n, draft)
      }
      const outgoing = outgoingOf(door, body, item as Item)
      return await (chain === undefined ? through(outgoing) : chain(outgoing, through))
    } finally {
      batch.skip(n)
    }
  }

  return {
    send: (topic, body, asked) => one(topic, body, asked, undefined),
    sendRequest: (topic, body, asked, reply) => one(topic, body, asked, reply),
    async sendBatch(topic, messages, asked) {
      const door = doorOf('sendBatch()', topic)
      checkOptions('sendBatch()', asked, batchShape)
      if (!Array.isArray(messages))
        throw new Refusal('invalid', `sendBatch(): the messages are ${show(messages)}; give a list of { body }`)
      const extras: Extras = { tx: asked?.tx, signal: asked?.signal, reply: undefined }
      const atomic = asked?.atomic === true
      if (messages.length === 0) return []
      if (asked?.signal?.aborted === true)
        throw new Refusal('aborted', 'sendBatch(): it was aborted before it began', { cause: asked.signal.reason })
      if (!atomic && extras.tx === undefined) return separate(door, messages, extras)
      if (atomic && extras.tx === undefined) checkAtomic(runtime, messages)
      return joint(door, messages, atomic, extras)
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
      let result: { readonly value: Awaited<ReturnType<typeof work>> } | undefined
      let begun = false
      const through = async (given: Outgoing): Promise<Receipt> => {
        if (begun) throw new Refusal('invalid', 'a send middleware sent a half message twice; call next once')
        begun = true
        const draft: Draft = out.draft(door, given.id, given.key, given)
        const half = await sendHalf(runtime, out, door, given.body, draft, asked?.signal, work)
        result = { value: half.result as Awaited<ReturnType<typeof work>> }
        return half.receipt
      }
      const outgoing = outgoingOf(door, body, asked)
      const receipt = await (chain === undefined ? through(outgoing) : chain(outgoing, through))
      if (result === undefined)
        throw new Refusal(
          'invalid',
          'a send middleware kept a half message back, so its work never ran; let it throw instead',
        )
      return { receipt, result: result.value }
    },
    stats: () => ({ ...counts, posted, dropped, pending: flush.open }),
    flush: () => flush.flush(),
  }
}

const nobody = (): void => {}

function each(
  drafts: readonly Draft[],
  lying: readonly { readonly held: Receipt['held']; readonly position?: string | undefined }[],
): readonly Receipt[] {
  return drafts.map(({ id, topic, notBefore }, n) => {
    const { held, position } = lying[n] as (typeof lying)[number]
    return { id, topic, held, position, dueAt: notBefore === undefined ? undefined : new Date(notBefore) }
  })
}

function checkedItem(item: unknown, n: number): Item {
  if (object(item) !== undefined || !('body' in (item as object)))
    throw new Refusal('invalid', `sendBatch(): message ${n} is ${show(item)}; give { body, ...options }`)
  checkOptions(`sendBatch(): message ${n}`, item, itemShape)
  return item as Item
}

function checkAtomic({ traits, name }: Runtime, messages: readonly unknown[]): void {
  if (!traits.atomic)
    throw new Refusal(
      'unsupported',
      `${name} cannot send a batch atomically; send it in a transaction of a store (tx), or leave atomic out`,
    )
  if (messages.length > traits.maxBatch)
    throw new Refusal(
      'too-large',
      `an atomic batch of ${messages.length} messages: ${name} takes at most ${traits.maxBatch} at once; send them in a transaction of a store (tx)`,
    )
}
