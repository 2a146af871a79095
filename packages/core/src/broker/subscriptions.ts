import { checkOptions, checkValue, ms, oneOf } from '../checked.ts'
import { askedOf, checkAsked, checkHandler, from } from '../consuming/asking.ts'
import { defaultDrainMs, type Engine, startEngine } from '../consuming/consumer.ts'
import { puller } from '../consuming/pull.ts'
import { type Asked, type Settings, settle } from '../consuming/settings.ts'
import { pause } from '../driver/clock.ts'
import type { From } from '../driver/seam.ts'
import { inboxSpace, partsOf } from '../driver/store.ts'
import { MessagingError } from '../errors.ts'
import type { Consumer, Handle, HandleBatch, Puller, PullOptions, Replay, ReplayOptions } from '../face/handling.ts'
import type { Source } from '../face/messages.ts'
import type { Runtime } from './runtime.ts'

/** `broker.consume`. */
export async function consume(
  runtime: Runtime,
  source: Source,
  options: Asked,
  handler: (input: never) => Promise<unknown>,
): Promise<readonly [Consumer, Engine]> {
  runtime.open('consume')
  checkAsked('consume', options, askedOf.consume)
  checkHandler('consume()', handler)
  const settings = settle(runtime, 'consume', source, options)
  const engine = await startEngine(
    runtime,
    settings,
    options.batch === undefined
      ? (handler as Handle<unknown>)
      : { options: options.batch, handle: handler as HandleBatch<unknown> },
  )
  return [consumerOf(runtime, settings, engine), engine]
}

/** The public half of an engine. */
export function consumerOf(runtime: Runtime, settings: Settings, engine: Engine): Consumer {
  const stop: Consumer['stop'] = (options) => {
    checkOptions('stop()', options, { drainMs: ms() })
    return engine.stop(options?.drainMs ?? defaultDrainMs)
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
    checkValue('seek()', 'the position', to, from, true)
    checkOptions('seek()', options, { dedupe: oneOf('keep', 'forget') })
    runtime.open('seek')
    if (engine.over) throw new MessagingError('closed', `this consumer of ${settings.name} has stopped; consume again`)
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
  checkAsked('pull', options, askedOf.pull)
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
  checkAsked('replay', options, askedOf.replay)
  checkValue('replay()', 'from', options.from, askedOf.replay.from, true)
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
    options.to === undefined ? undefined : positionOf(options.to),
  )
  return [
    {
      done: engine.done.then(() => ({ handled: engine.stats().handled })),
      stop: async () => void (await engine.stop(defaultDrainMs)),
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
