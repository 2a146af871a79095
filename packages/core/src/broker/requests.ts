import { anything, checkOptions, ms, object, signal as signalRule, whole } from '../checked.ts'
import { json } from '../codec/json.ts'
import type { Engine } from '../consuming/consumer.ts'
import { startEngine } from '../consuming/consumer.ts'
import { arrivalOf } from '../consuming/delivery.ts'
import { settle } from '../consuming/settings.ts'
import { reconnectPause } from '../driver/backoff.ts'
import type { Arrival, Dispatch } from '../driver/envelope.ts'
import { newId } from '../driver/id.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { Consumer, Delivery, RespondOptions } from '../face/handling.ts'
import type { Source, Topic } from '../face/messages.ts'
import type { RequestOptions } from '../face/sending.ts'
import type { Sender } from '../producing/producer.ts'
import { validated } from '../schema.ts'
import { ack } from '../verdict.ts'
import type { Runtime } from './runtime.ts'
import { consumerOf } from './subscriptions.ts'

/** An answer that tells of a failure on the other side: its body is `{ "error": text }`. */
const failureType = 'application/vnd.posthorn.error+json'

interface Asked {
  readonly resolve: (answer: Arrival) => void
}

/** The asking side of one broker: one reply address, opened at the first request and again after each loss. */
export function requester(runtime: Runtime, sender: () => Sender) {
  const address = `~reply.${runtime.clientId}`
  const waiting = new Map<string, Asked>()
  let opening: Promise<void> | undefined
  const closing = new AbortController()

  async function listen(opened: () => void): Promise<void> {
    for (let attempt = 1; !closing.signal.aborted; attempt++) {
      const spec = {
        name: address,
        partitions: 1,
        groups: [],
        retentionMs: undefined,
        keyed: false,
        priority: undefined,
        on: undefined,
      }
      const source = await runtime.driver.open(
        {
          source: spec,
          mode: 'reply',
          group: address,
          member: address,
          order: 'none',
          window: 1_000,
          from: 'latest',
          filter: undefined,
          report: () => {},
        },
        closing.signal,
      )
      opened()
      try {
        for (;;) {
          const arrivals = await source.receive(1_000, closing.signal)
          if (closing.signal.aborted) break
          for (const arrival of arrivals) waiting.get(arrival.correlationId ?? '')?.resolve(arrival)
          await source.settle(arrivals.map(({ token }) => ({ token, verdict: 'ack' as const })))
        }
      } catch {
        await reconnectPause(runtime.clock, attempt, closing.signal)
      } finally {
        await source.close().catch(() => {})
      }
    }
  }
  function ready(): Promise<void> {
    opening ??= new Promise<void>((resolve, reject) => {
      listen(resolve).catch((error) => {
        opening = undefined
        reject(error)
      })
    })
    return opening
  }

  return {
    async request<In, Answer>(topic: Topic<In, unknown>, body: In, options: RequestOptions<Answer>): Promise<Answer> {
      runtime.open('request')
      checkOptions('request()', options, requestShape)
      if (options?.timeoutMs === undefined)
        throw new MessagingError('invalid', 'request() needs timeoutMs: how long the answer is waited for')
      const { timeoutMs, answer: schema, signal, ...message } = options
      signal?.throwIfAborted()
      await ready()
      const id = message.id ?? newId(runtime.clock.now())
      const answered = new Promise<Arrival>((resolve, reject) => {
        const cancel = runtime.clock.after(timeoutMs, () =>
          reject(
            new MessagingError(
              'timeout',
              `no answer to ${id} on ${topic.name} within ${timeoutMs} ms; nobody may be responding`,
              { outcome: 'unknown' },
            ),
          ),
        )
        const abort = (): void =>
          reject(
            new MessagingError('aborted', `the request ${id} on ${topic.name} was aborted`, {
              outcome: 'unknown',
              cause: signal?.reason,
            }),
          )
        signal?.addEventListener('abort', abort, { once: true })
        waiting.set(id, {
          resolve: (arrival) => {
            cancel()
            resolve(arrival)
          },
        })
        runtime.closing.addEventListener('abort', abort, { once: true })
      }).finally(() => waiting.delete(id))
      answered.catch(() => {})
      const expiresInMs = Math.min(message.expiresInMs ?? timeoutMs, timeoutMs)
      await sender().sendRequest(
        topic,
        body,
        { ...message, id, expiresInMs, signal },
        { replyTo: address, correlationId: id },
      )
      return read(await answered, schema)
    },
    close: () => closing.abort(),
  }
}

const requestShape = {
  timeoutMs: ms(1),
  answer: anything,
  signal: signalRule,
  id: anything,
  key: anything,
  tag: anything,
  headers: object,
  expiresInMs: ms(1),
  priority: whole(0, 9),
  partition: whole(0, 1_000_000),
}

async function read<Answer>(arrival: Arrival, schema: RequestOptions<Answer>['answer']): Promise<Answer> {
  const body = json.decode(arrival.body, { id: arrival.id, topic: arrival.topic, headers: arrival.headers })
  if (arrival.contentType === failureType)
    throw new MessagingError('remote', `the responder failed: ${String((body as { readonly error?: unknown }).error)}`)
  return (schema === undefined ? body : await validated(schema, body, 'the answer')) as Answer
}

/** `broker.respond`: answers each request, errors too, and never tries again. */
export async function respond(
  runtime: Runtime,
  to: Source,
  options: RespondOptions,
  handler: (delivery: Delivery<never>) => Promise<unknown>,
): Promise<readonly [Consumer, Engine]> {
  runtime.open('respond')
  const { answer: schema, ...asked } = options
  const settings = settle(runtime, 'respond', to, asked)
  const engine = await startEngine(runtime, settings, async (delivery) => {
    const { replyTo, correlationId } = arrivalOf(delivery) ?? {}
    let contentType: string = json.contentType
    let answer: unknown
    try {
      answer = await handler(delivery as Delivery<never>)
      if (schema !== undefined) answer = await validated(schema, answer, 'the answer')
    } catch (error) {
      contentType = failureType
      answer = { error: describe(error).slice(0, 1_000) }
    }
    // Asked by somebody who wants no answer: it was handled all the same.
    if (replyTo !== undefined) await reply(runtime, replyTo, correlationId, contentType, answer ?? null)
    return ack()
  })
  return [consumerOf(runtime, settings, engine), engine]
}

async function reply(
  runtime: Runtime,
  replyTo: string,
  correlationId: string | undefined,
  contentType: string,
  answer: unknown,
): Promise<void> {
  const id = newId(runtime.clock.now())
  const context = { id, topic: replyTo, headers: {} }
  let encoded = json.encode(answer, context)
  if (encoded instanceof Promise) encoded = await encoded
  const dispatch: Dispatch = {
    id,
    topic: replyTo,
    key: undefined,
    tag: undefined,
    headers: {},
    body: encoded instanceof Uint8Array ? encoded : encoded.bytes,
    contentType,
    sentAt: runtime.clock.now(),
    expiresAt: undefined,
    priority: undefined,
    version: undefined,
    generation: 0,
    failures: 0,
    history: [],
    lone: 0,
    replyTo: undefined,
    correlationId,
  }
  const sent = await runtime.relay(dispatch)
  // Nobody there any more: the asker has gone, which is no fault of the request's.
  if (!sent.ok && !isMessagingError(sent.error, 'unroutable', 'not-found'))
    runtime.events.emit('send-failed', { id, topic: replyTo, error: sent.error })
}
