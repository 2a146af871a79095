import { callable, checkOptions, ms, object, oneOf, plainName, type Shape, show, signal, whole } from '../checked.ts'
import { batched } from '../consuming/batches.ts'
import { type Engine, startEngine } from '../consuming/consumer.ts'
import type { Chain } from '../consuming/handling.ts'
import { puller } from '../consuming/pull.ts'
import { type Asked, type Settings, settle } from '../consuming/settings.ts'
import { pause } from '../driver/clock.ts'
import type { From } from '../driver/seam.ts'
import { inboxSpace, partsOf } from '../driver/store.ts'
import { MessagingError } from '../errors.ts'
import type { BatchOptions, Consumer, Handle, Puller, PullOptions, Replay, ReplayOptions } from '../face/handling.ts'
import type { Source } from '../face/messages.ts'
import { filterRule } from '../topic.ts'
import type { Runtime } from './runtime.ts'

/** Longest that `stop()` and `close()` wait for handlers, unless said otherwise. */
export const drainMs = 30_000

const list = (value: unknown): string | undefined => (Array.isArray(value) ? undefined : 'an array of extensions')
const from = (value: unknown): string | undefined => {
  if (value === 'earliest' || value === 'latest') return undefined
  if (typeof value === 'object' && value !== null) {
    if ('time' in value && value.time instanceof Date && !Number.isNaN(value.time.getTime())) return undefined
    if ('position' in value && typeof value.position === 'string' && value.position !== '') return undefined
  }
  return "'earliest', 'latest', { time: a Date } or { position: a string }"
}
const concurrency = (value: unknown): string | undefined => {
  const each = whole(1, 100_000)
  if (object(value) !== undefined) return each(value)
  checkOptions('consume(): concurrency', value, { process: each, group: each, key: each })
  return Object.keys(value as object).length > 0 ? undefined : 'a whole number, or { process } or { key }'
}
const batch = (value: unknown): string | undefined => {
  if (object(value) !== undefined) return 'an object { size, waitMs }'
  checkOptions('consume(): batch', value, { size: whole(1, 100_000), waitMs: ms(0, 3_600_000) })
  const { size, waitMs } = value as Partial<BatchOptions>
  return size === undefined || waitMs === undefined ? 'both size and waitMs' : undefined
}

const membership: Shape = {
  group: plainName,
  mode: oneOf('shared', 'broadcast'),
  order: oneOf('key', 'topic', 'none'),
  window: whole(1, 1_000_000),
  filter: filterRule,
  from,
  signal,
}
const consumeShape: Shape = {
  ...membership,
  onFailure: oneOf('skip', 'park', 'block'),
  concurrency,
  use: list,
  batch,
  guarantee: oneOf('at-most-once', 'at-least-once', 'exactly-once-effects', 'exactly-once-sends'),
}
const pullShape: Shape = { ...membership, guarantee: oneOf('at-most-once', 'at-least-once') }
const replayShape: Shape = {
  from,
  to: from,
  ratePerSecond: (value) => (typeof value === 'number' && value > 0 && value < 1e9 ? undefined : 'a number above 0'),
  order: oneOf('key', 'none'),
  concurrency: whole(1, 100_000),
}

/** Checks a handler: a missing one would look like a handler that does nothing. */
function checkHandler(call: string, handler: unknown): void {
  if (callable(handler) !== undefined)
    throw new MessagingError('invalid', `${call}: the handler is ${show(handler)}; give an async function`)
}

/** `broker.consume`. */
export async function consume(
  runtime: Runtime,
  source: Source,
  options: Asked,
  handler: (input: never) => Promise<unknown>,
): Promise<readonly [Consumer, Engine]> {
  runtime.open('consume')
  checkOptions('consume()', options, consumeShape)
  checkHandler('consume()', handler)
  const settings = settle(runtime, 'consume', source, options)
  const chain: Chain =
    options.batch === undefined
      ? (handler as Handle<unknown>)
      : batched(runtime.clock, options.batch, handler as Parameters<typeof batched>[2], runtime.closing)
  const engine = await startEngine(runtime, settings, chain, { batch: options.batch !== undefined })
  return [consumerOf(runtime, settings, engine), engine]
}

/** The public half of an engine. */
export function consumerOf(runtime: Runtime, settings: Settings, engine: Engine): Consumer {
  const stop: Consumer['stop'] = (options) => {
    checkOptions('stop()', options, { drainMs: ms() })
    return engine.stop(options?.drainMs ?? drainMs)
  }
  const consumer = {
    pause: () => engine.pause(),
    resume: () => engine.resume(),
    stop,
    done: engine.done,
    stats: () => engine.stats(),
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
  if (!runtime.capabilities.replay) return consumer as Consumer
  const seek = async (
    to: ReplayOptions['from'] | 'latest',
    options?: { readonly dedupe?: 'keep' | 'forget' | undefined },
  ): Promise<void> => {
    const refused = from(to)
    if (refused !== undefined)
      throw new MessagingError('invalid', `seek(): the position is ${show(to)}; give ${refused}`)
    checkOptions('seek()', options, { dedupe: oneOf('keep', 'forget') })
    if (options?.dedupe === 'forget' && runtime.store !== undefined)
      await partsOf(runtime.store).claims?.forget(inboxSpace(settings.group, settings.name))
    await engine.seek(positionOf(to))
  }
  return Object.assign(consumer, { seek }) as Consumer
}

function positionOf(to: ReplayOptions['from'] | 'latest'): From {
  return typeof to === 'object' && 'time' in to ? { time: to.time.getTime() } : to
}

/** `broker.pull`. */
export function pull<T>(runtime: Runtime, source: Source<T>, options: PullOptions): Puller<T> {
  runtime.open('pull')
  checkOptions('pull()', options, pullShape)
  return puller<T>(runtime, settle(runtime, 'pull', source, options))
}

/** `broker.replay`: history once, by a reader of its own, at most so fast; a handler that fails for good ends it. */
export async function replay(
  runtime: Runtime,
  source: Source,
  options: ReplayOptions,
  handler: Handle<never>,
): Promise<readonly [Replay, Engine]> {
  runtime.open('replay')
  checkOptions('replay()', options, replayShape)
  checkHandler('replay()', handler)
  if (!runtime.capabilities.replay)
    throw new MessagingError('unsupported', `${runtime.name} cannot replay; check broker.having('replay') first`)
  const order = options.order ?? 'none'
  const settings = settle(
    runtime,
    'replay',
    source,
    { group: 'replay', order, concurrency: options.concurrency ?? 1 },
    {
      mode: 'replay',
      replay: true,
      group: `~replay.${runtime.clientId}.${Math.random().toString(36).slice(2)}`,
      from: positionOf(options.from),
    },
  )
  const paced = pacer(runtime, options.ratePerSecond)
  const engine = await startEngine(
    runtime,
    settings,
    async (delivery) => {
      await paced(delivery.signal)
      return (handler as Handle<unknown>)(delivery)
    },
    { to: options.to === undefined ? undefined : positionOf(options.to) },
  )
  return [
    {
      done: engine.done.then(() => ({ handled: engine.stats().handled })),
      stop: async () => void (await engine.stop(drainMs)),
    },
    engine,
  ]
}

/** One start each 1/rate seconds. */
function pacer(runtime: Runtime, ratePerSecond: number | undefined): (signal: AbortSignal) => Promise<unknown> {
  if (ratePerSecond === undefined) return async () => {}
  let next = 0
  return (signal) => {
    const now = runtime.clock.now()
    const at = Math.max(next, now)
    next = at + 1_000 / ratePerSecond
    return pause(runtime.clock, at - now, signal)
  }
}
