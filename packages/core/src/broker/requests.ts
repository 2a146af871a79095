import { anything, checkOptions, ms, object, signal as signalRule, whole } from '../checked.ts'
import { json } from '../codec/json.ts'
import { askedOf, checkAsked, checkHandler } from '../consuming/asking.ts'
import type { Engine } from '../consuming/consumer.ts'
import { startEngine } from '../consuming/consumer.ts'
import { arrivalOf } from '../consuming/delivery.ts'
import { settle } from '../consuming/settings.ts'
import { reconnectPause } from '../driver/backoff.ts'
import type { Arrival, Dispatch } from '../driver/envelope.ts'
import { newId } from '../driver/id.ts'
import type { Source as SeamSource } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import { extension } from '../extension.ts'
import type { ConsumeExtension } from '../face/extending.ts'
import type { Consumer, Delivery, RespondOptions } from '../face/handling.ts'
import type { Source, Topic } from '../face/messages.ts'
import type { RequestOptions } from '../face/sending.ts'
import type { Sender } from '../producing/producer.ts'
import { validated } from '../schema.ts'
import { topicParts } from '../topic.ts'
import { schemaRule } from '../topic-options.ts'
import { ack } from '../verdict.ts'
import type { Runtime } from './runtime.ts'
import { consumerOf } from './subscriptions.ts'

/** An answer that tells of a failure on the other side: its body is `{ "error": text }`. */
const failureType = 'application/vnd.posthorn.error+json'

/** The asking side of one broker: one reply address, opened at the first request and again after each loss. */
export function requester(runtime: Runtime, sender: () => Sender) {
  const address = `~reply.${runtime.clientId}`
  const waiting = new Map<string, (answer: Arrival) => void>()
  let opening: Promise<void> | undefined
  const closing = new AbortController()

  const open = (): Promise<SeamSource> =>
    runtime.driver.open(
      {
        source: {
          name: address,
          partitions: 1,
          groups: [],
          retentionMs: undefined,
          keyed: false,
          priority: undefined,
          on: undefined,
        },
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
  async function listen(source: SeamSource): Promise<void> {
    try {
      for (;;) {
        const arrivals = await source.receive(1_000, closing.signal)
        if (closing.signal.aborted) return
        for (const arrival of arrivals) waiting.get(arrival.correlationId ?? '')?.(arrival)
        await source.settle(arrivals.map(({ token }) => ({ token, verdict: 'ack' as const })))
      }
    } finally {
      await source.close().catch(() => {})
    }
  }
  /** Listens until the broker closes; where the address was lost and cannot be had again, until the next request asks for it. */
  async function serve(first: SeamSource): Promise<void> {
    let source = first
    for (let attempt = 1; !closing.signal.aborted; attempt++) {
      const since = runtime.clock.now()
      await listen(source).catch(() => {})
      if (runtime.clock.now() - since > steadyMs) attempt = 1
      if (!(await reconnectPause(runtime.clock, attempt, closing.signal))) return
      source = await open()
    }
  }
  function ready(): Promise<void> {
    opening ??= open().then((source) => {
      serve(source).catch(() => {
        opening = undefined
      })
    })
    opening.catch(() => {
      opening = undefined
    })
    return opening
  }

  return {
    async request<In, Answer>(topic: Topic<In, unknown>, body: In, options: RequestOptions<Answer>): Promise<Answer> {
      runtime.open('request')
      const { name } = topicParts(topic)
      checkOptions('request()', options, requestShape)
      if (options?.timeoutMs === undefined)
        throw new MessagingError('invalid', 'request() needs timeoutMs: how long the answer is waited for')
      const { timeoutMs, answer: schema, signal, ...message } = options
      const id = message.id ?? newId(runtime.clock.now())
      let answered = (_: Arrival): void => {}
      const answer = new Promise<Arrival>((resolve) => {
        answered = resolve
      })
      const limit = limited(runtime, `the request ${id} on ${name}`, timeoutMs, signal)
      try {
        await limit.race(ready())
        waiting.set(id, answered)
        const expiresInMs = Math.min(message.expiresInMs ?? timeoutMs, timeoutMs)
        const reply = { replyTo: address, correlationId: id }
        await limit.race(sender().sendRequest(topic, body, { ...message, id, expiresInMs, signal }, reply))
        return await read(await limit.race(answer), schema)
      } finally {
        limit.end()
        if (waiting.get(id) === answered) waiting.delete(id)
      }
    },
    close: () => closing.abort(),
  }
}

/** A reply address that was had for so long was no failed attempt. */
const steadyMs = 10_000

/** What ends a request before its answer: its time, its signal, or the end of the broker. Nothing of it stays when it has ended. */
function limited(runtime: Runtime, what: string, timeoutMs: number, signal: AbortSignal | undefined) {
  let fail = (_: MessagingError): void => {}
  const over = new Promise<never>((_, reject) => {
    fail = reject
  })
  over.catch(() => {})
  const stop = (): void =>
    fail(new MessagingError('aborted', `${what} was aborted`, { outcome: 'unknown', cause: signal?.reason }))
  const closed = (): void =>
    fail(new MessagingError('closed', `${what} was open when its broker closed`, { outcome: 'unknown' }))
  const cancel = runtime.clock.after(timeoutMs, () =>
    fail(
      new MessagingError('timeout', `no answer to ${what} within ${timeoutMs} ms; nobody may be responding`, {
        outcome: 'unknown',
      }),
    ),
  )
  if (signal?.aborted === true)
    fail(new MessagingError('aborted', `${what} was aborted before it began`, { cause: signal.reason }))
  signal?.addEventListener('abort', stop, { once: true })
  runtime.closing.addEventListener('abort', closed, { once: true })
  return {
    race<T>(work: Promise<T>): Promise<T> {
      work.catch(() => {})
      return Promise.race([over, work])
    },
    end(): void {
      cancel()
      signal?.removeEventListener('abort', stop)
      runtime.closing.removeEventListener('abort', closed)
    },
  }
}

const requestShape = {
  timeoutMs: ms(1),
  answer: schemaRule,
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
  checkAsked('respond', options, askedOf.respond)
  checkHandler('respond()', handler)
  const { answer: schema, ...asked } = options
  const settings = settle(runtime, 'respond', to, asked)
  const use = [answering(runtime), ...settings.use]
  const engine = await startEngine(runtime, { ...settings, use }, async (delivery) => {
    const answer: unknown = await handler(delivery as Delivery<never>)
    return ack((schema === undefined ? answer : await validated(schema, answer, 'the answer')) ?? null)
  })
  return [consumerOf(runtime, settings, engine), engine]
}

/** Outside all that stands in `use`: what fails in there is the answer as much as what the handler throws, and is not tried again. */
function answering(runtime: Runtime): ConsumeExtension {
  const answer: ConsumeExtension['consume'] = (next) => async (delivery) => {
    const { replyTo, correlationId } = arrivalOf(delivery) ?? {}
    let contentType: string = json.contentType
    let body: Uint8Array
    try {
      const verdict = await next(delivery)
      // Handed back, or handled before by who keeps no answers: there is nothing to say.
      if (verdict.verdict !== 'ack' || verdict.result === undefined) return verdict
      body = await written(delivery, verdict.result)
    } catch (error) {
      contentType = failureType
      body = await written(delivery, { error: describe(error).slice(0, 1_000) })
    }
    // Asked by somebody who wants no answer: it was handled all the same.
    if (replyTo !== undefined) await reply(runtime, replyTo, correlationId, contentType, body)
    return ack()
  }
  return extension('respond', answer, {})
}

/** An answer as it travels; what JSON cannot carry fails here, while whoever asked can still be told. */
async function written({ id, topic, headers }: Delivery, answer: unknown): Promise<Uint8Array> {
  const encoded = await json.encode(answer, { id, topic, headers })
  return encoded instanceof Uint8Array ? encoded : encoded.bytes
}

async function reply(
  runtime: Runtime,
  replyTo: string,
  correlationId: string | undefined,
  contentType: string,
  body: Uint8Array,
): Promise<void> {
  const id = newId(runtime.clock.now())
  const dispatch: Dispatch = {
    id,
    topic: replyTo,
    key: undefined,
    tag: undefined,
    headers: {},
    body,
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
