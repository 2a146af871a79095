import { decodeBody } from '../body.ts'
import { callable, checkOptions, checkValue, date, ms, oneOf, ownName, type Rule } from '../checked.ts'
import { defaultDrainMs, type Engine } from '../consuming/consumer.ts'
import { pause } from '../driver/clock.ts'
import { describe, MessagingError } from '../errors.ts'
import type { Broker } from '../face/broker.ts'
import type { Need } from '../face/connecting.ts'
import type { Handle, Query, Stored } from '../face/handling.ts'
import type { Source } from '../face/messages.ts'
import type { Store } from '../face/stores.ts'
import { isPattern } from '../pattern.ts'
import { flushAll } from '../producing/flushing.ts'
import { lacksKeeper } from '../producing/holding.ts'
import { createProducer, type Sender } from '../producing/producer.ts'
import { topicParts } from '../topic.ts'
import { deadLetters } from './dead-letters.ts'
import { explain } from './explain.ts'
import { health, lag } from './operating.ts'
import { requester, respond } from './requests.ts'
import type { Runtime } from './runtime.ts'
import { consume, pull, replay } from './subscriptions.ts'
import { topics } from './topics.ts'

/** What `close` has to end, in this order: consumers, producers, keeper, driver, store. */
export interface Closing {
  /** Begins: nothing new is taken. */
  begin(): void
  /** After consumers and producers. What the keeper relays has so long to end; then it stays in the store. */
  finish(withinMs: number): Promise<void>
}

/** How long `close` waits for a consumer that is opening: where the broker is away it may never come to that. */
const openingMs = 1_000

/** The broker as a user holds it: every call is a thin line to the room that does it. */
export function brokerOf(runtime: Runtime, closing: Closing): Broker {
  const engines = new Map<Engine, string>()
  /** Consumers that had to give up, by name, and why; until another of that name begins. */
  const givenUp = new Map<string, string>()
  /** Consumers that are about to be in `engines`. */
  const opening = new Set<Promise<unknown>>()

  let plain: Sender | undefined
  const sender = (): Sender => (plain ??= createProducer(runtime))
  const requests = requester(runtime, sender)
  const kept = <T>(
    beginning: Promise<readonly [T, Engine]>,
    kind: 'consumer' | 'responder' | 'replay',
    source: Source,
    group?: string,
  ): Promise<T> => {
    const begun = beginning.then(([given, engine]) => {
      const name = `${kind} ${nameOf(source)}${group === undefined ? '' : ` of group ${group}`}`
      givenUp.delete(name)
      engines.set(engine, name)
      engine.done
        .catch((error: unknown) => {
          // A replay is somebody's errand, who hears of its end.
          if (kind !== 'replay') givenUp.set(name, describe(error))
        })
        .finally(() => engines.delete(engine))
      return given
    })
    opening.add(begun)
    const forget = (): void => void opening.delete(begun)
    begun.then(forget, forget)
    return begun
  }
  const nameOf = (source: Source): string =>
    isPattern(source) ? source.pattern : (source as { readonly name: string }).name

  let ended: Promise<void> | undefined
  const close: Broker['close'] = (options) => {
    checkOptions('close()', options, { drainMs: ms() })
    ended ??= (async () => {
      const within = options?.drainMs ?? defaultDrainMs
      // Who does not await `consume` may close while it opens: what has opened is ended like the others, not cut off.
      if (opening.size > 0)
        await Promise.race([
          Promise.allSettled([...opening]),
          pause(runtime.clock, Math.min(within, openingMs), runtime.closing),
        ])
      await Promise.all([...engines.keys()].map((engine) => engine.stop(within)))
      // What a sender still waits for (a half message's work, say) does not keep the broker open for ever.
      await Promise.race([flushAll(runtime.unsent), pause(runtime.clock, within, runtime.closing)])
      closing.begin()
      requests.close()
      await closing.finish(within)
    })()
    return ended
  }

  const broker = {
    name: runtime.name,
    capabilities: runtime.capabilities,
    driver: { client: runtime.driver.client },
    get store(): Store {
      runtime.open('store')
      if (runtime.store !== undefined) return runtime.store
      throw new MessagingError(
        'unsupported',
        `this broker has no store; give one: connect({ url: '...', store: 'sqlite:./data/app.db' })`,
      )
    },
    having: (...needs: readonly Need[]) => {
      for (const need of needs) checkValue('having()', 'the need', need, needRule, true)
      return needs.every((need) => runtime.capabilities[need] === true) ? broker : undefined
    },
    producer: (options?: Parameters<Broker['producer']>[0]) => {
      runtime.open('producer')
      return createProducer(runtime, options)
    },
    consume: async (source: Source, options: { readonly group?: string }, handler: never) =>
      kept(consume(runtime, source, options as never, handler), 'consumer', source, options?.group),
    pull: (source: Source, options: never) => pull(runtime, source, options),
    request: requests.request,
    respond: async (source: Source, options: never, handler: never) =>
      kept(respond(runtime, source, options, handler), 'responder', source),
    checkHalf(topic: never, check: never) {
      runtime.open('checkHalf')
      if (runtime.keeper === undefined) throw lacksKeeper(runtime, 'checkHalf()')
      const parts = topicParts(topic)
      checkValue('checkHalf()', 'the check', check, callable, true)
      const ask = check as (message: {
        id: string
        body: unknown
        headers: object
      }) => Promise<'commit' | 'rollback' | 'unknown'>
      return runtime.keeper.check(parts.name, async (message) =>
        ask({ id: message.id, headers: message.headers, body: await decodeBody(parts, message) }),
      )
    },
    deadLetters(source: Source, options?: { readonly group?: string | undefined }) {
      checkOptions('deadLetters()', options, { group: ownName })
      return deadLetters(runtime, source, options?.group)
    },
    lag: (source: Source, options: { readonly group: string }) => lag(runtime, source, options),
    topics: topics(runtime),
    health: () => health(runtime, engines, givenUp),
    explain: async (source: Source, options: never) => explain(runtime, source, options),
    on: (event: string, listener: never) => {
      checkValue('on()', 'the event', event, eventName, true)
      checkValue('on()', 'the listener', listener, callable, true)
      return runtime.events.on(event as never, listener)
    },
    close,
    [Symbol.asyncDispose]: () => close(),
    ...(runtime.capabilities.replay
      ? {
          replay: async (source: Source, options: never, handler: Handle<never>) =>
            kept(replay(runtime, source, options, handler), 'replay', source),
        }
      : {}),
    ...(runtime.capabilities.query
      ? { query: (source: Source, where: Query = {}) => query(runtime, source, where) }
      : {}),
  }
  return broker as unknown as Broker
}

const needRule = oneOf('replay', 'query')
const eventName = oneOf(
  'sent',
  'send-failed',
  'handled',
  'retry',
  'dead-letter',
  'key-parked',
  'at-risk',
  'position-lost',
  'exposed',
  'stalled',
  'disconnected',
  'connected',
)

async function* query(runtime: Runtime, source: Source, where: Query): AsyncGenerator<Stored<unknown>> {
  runtime.open('query')
  const text: Rule = (value) => (typeof value === 'string' ? undefined : 'a string')
  checkOptions('query()', where, { id: text, key: text, from: date, to: date })
  const spec = await runtime.resolve(source, runtime.closing)
  const asked = { id: where.id, key: where.key, from: where.from?.getTime(), to: where.to?.getTime() }
  const end = new AbortController()
  try {
    for await (const arrival of runtime.driver.query?.(spec, asked, AbortSignal.any([end.signal, runtime.closing])) ??
      []) {
      const topic = isPattern(source) ? runtime.topicNamed(arrival.topic) : (source as never)
      const body = await decodeBody(topic === undefined ? undefined : topicParts(topic), arrival)
      yield {
        id: arrival.id,
        key: arrival.key,
        body,
        headers: arrival.headers,
        position: arrival.position ?? '',
        sentAt: new Date(arrival.sentAt ?? 0),
      }
    }
  } finally {
    end.abort()
  }
}
