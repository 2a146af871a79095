import type { Runtime } from '../broker/runtime.ts'
import { compose } from '../compose.ts'
import type { Clock } from '../driver/clock.ts'
import { patience, patiently } from '../driver/patience.ts'
import type { PatternSpec, Subscription, TopicSpec } from '../driver/seam.ts'
import { describe, MessagingError } from '../errors.ts'
import { innerOf, type Subscribed } from '../extension.ts'
import type { Middleware, Next } from '../face/extending.ts'
import type { BatchOptions, Delivery, HandleBatch, Verdict } from '../face/handling.ts'
import { type Batched, batched } from './batches.ts'
import { type Answers, type Chain, verdictOf } from './handling.ts'
import { Intake } from './intake.ts'
import { session } from './session.ts'
import { type Settings, subscribed } from './settings.ts'
import { type Rest, resting, steered } from './steering.ts'
import { Workbench } from './workbench.ts'

/** A subscription at work: the one loop behind `consume`, `respond` and `replay`. */
export interface Engine {
  pause(): Promise<void>
  resume(): Promise<void>
  stop(drainMs: number): Promise<{ readonly handled: number; readonly givenBack: number }>
  seek(to: Subscription['from']): Promise<void>
  /** Resolves when it has stopped, or has read to the end; rejects when it had to give up. */
  readonly done: Promise<void>
  stats(): { readonly handled: number; readonly failed: number; readonly inFlight: number }
  /** Whether it was told to stop, or has ended by itself. */
  readonly over: boolean
  /** Whether somebody paused it. */
  readonly resting: boolean
  /** Undefined while deliveries can flow. */
  readonly trouble: MessagingError | undefined
}

/** A consumer that finishes nothing for so long is said to be stalled. */
const stalledAfterMs = 60_000

/** Longest that a consumer which stops waits for its handlers, unless said otherwise. */
export const defaultDrainMs = 30_000

/** How long handlers get to notice that their time is over. */
const graceMs = 1_000

/** Opens the source and starts handling. Resolves when `from` is fixed and deliveries can flow. */
export async function startEngine(
  runtime: Runtime,
  settings: Settings,
  handler: Chain | BatchHandler,
  to?: Subscription['to'],
): Promise<Engine> {
  const budget = patience(runtime)
  const spec = await runtime.resolve(settings.source, settings.signal ?? runtime.closing)
  const subscription = subscriptionOf(runtime, settings, spec, to)
  let failure: unknown
  const stopping = new AbortController()
  const known = subscribed(runtime, settings, typeof handler !== 'function', stopping.signal)
  const { batch, ...chain } = chainOf(settings, known, handler, runtime.clock)
  const bench = new Workbench(runtime, settings, chain, (error) => {
    failure ??= error
    intake.stop()
    bench.close()
  })
  let opened = false
  const intake: Intake = new Intake({
    stopping,
    clock: runtime.clock,
    name: settings.name,
    window: settings.window,
    ends: settings.mode === 'replay',
    closesOnPause: settings.mode === 'shared',
    async open(freed, signal) {
      // What an operator removed meanwhile is made again.
      if (opened && 'name' in spec) await runtime.driver.declare(spec, signal)
      const source = await runtime.driver.open(subscription, signal)
      opened = true
      return session(source, runtime.clock, runtime.traits.leaseMs, freed)
    },
    accept: (arrival, from) => bench.accept(arrival, from),
    forget: (from, reason) => bench.forget(from, reason),
    refused: ({ message }) =>
      runtime.events.say(
        `group ${settings.group} may not read ${settings.name} any more and asks again, now and then: ${message}`,
      ),
    handBack: () => bench.handBack(),
    idle: () => bench.idle(),
  })
  const given = settings.signal ?? runtime.closing
  await patiently(budget, AbortSignal.any([given, runtime.closing]), () => intake.open())
  intake.stopping.addEventListener('abort', () => batch?.stop(), { once: true })
  watch(runtime, settings, bench, intake)
  const rest = resting(intake)
  steered(runtime, settings, known, rest)
  return engineOf(runtime, settings, intake, bench, rest, () => failure)
}

/** A handler that takes many at once. */
export interface BatchHandler {
  readonly options: BatchOptions
  readonly handle: HandleBatch<unknown>
}

/** Middlewares around the handler, or around what collects for it. */
function chainOf(
  settings: Settings,
  known: Subscribed,
  handler: Chain | BatchHandler,
  clock: Clock,
): { readonly chain: Chain; readonly answers: Answers; readonly batch: Batched | undefined } {
  const many = typeof handler === 'function' ? undefined : handler
  const innermost = settings.use.at(-1)
  const around = many === undefined || innermost === undefined ? undefined : innerOf(innermost).bindBatch?.(known)
  const middlewares = settings.use
    .slice(0, around === undefined ? undefined : -1)
    .map((each): Middleware<Delivery, Verdict> => innerOf(each).bind?.(known) ?? each.consume)
  const batch = many && batched(clock, many.options, around?.(many.handle) ?? many.handle)
  const collects = batch?.collect ?? (handler as Chain)
  const chain = wrapped(middlewares, collects)
  return { chain, answers: chain !== collects ? 'extensions' : batch === undefined ? 'handler' : 'batch', batch }
}

/** Middlewares see verdicts only; where none looks, the handler's answer needs no wrapping. */
function wrapped(middlewares: readonly Middleware<Delivery, Verdict>[], handler: Chain): Chain {
  const innermost: Next<Delivery, Verdict> = async (delivery) => verdictOf(await handler(delivery))
  const chain = compose(middlewares, innermost)
  return chain === innermost ? handler : chain
}

/** Says so when a consumer has had work in hand and has finished none of it for a minute: a handler hangs, or its dependency. */
function watch(runtime: Runtime, settings: Settings, bench: Workbench, intake: Intake): void {
  const { clock, events } = runtime
  let cancel = (): void => {}
  let moves = bench.moves
  let since = clock.now()
  const look = (): void => {
    if (bench.moves === undefined || bench.moves !== moves) since = clock.now()
    else events.emit('stalled', { topic: settings.name, group: settings.group, forMs: clock.now() - since })
    moves = bench.moves
    cancel = clock.after(stalledAfterMs, look, { unref: true })
  }
  cancel = clock.after(stalledAfterMs, look, { unref: true })
  intake.stopping.addEventListener('abort', () => cancel(), { once: true })
}

function engineOf(
  runtime: Runtime,
  settings: Settings,
  intake: Intake,
  bench: Workbench,
  rest: Rest,
  failure: () => unknown,
): Engine {
  const { counts } = bench
  let ending: ReturnType<Engine['stop']> | undefined
  /** The session stays open while what is in hand is settled. */
  async function end(drainMs: number): Promise<void> {
    intake.stop()
    bench.close()
    if (await bench.idle(drainMs)) return
    bench.abort()
    await bench.idle(graceMs)
  }
  const serving = intake.serve().then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  const done = serving.then(async (ended) => {
    await (ending ?? end(0))
    await intake.session?.close().catch(() => {})
    const error = failure() ?? ended?.error
    if (error !== undefined) throw error
  })
  // Who does not await `done` must not get an unhandled rejection for it.
  done.catch((error) => runtime.events.say(`the consumer of ${settings.name} ended: ${describe(error)}`))
  const stop: Engine['stop'] = (drainMs) => {
    ending ??= end(drainMs).then(() => counts)
    return ending
      .then(() => done.catch(() => {}))
      .then(() => ({ handled: counts.handled, givenBack: counts.givenBack }))
  }
  const { signal } = settings
  const abort = (): void => void stop(defaultDrainMs)
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  // A signal that lives as long as its process must not keep every consumer that there ever was.
  const forget = (): void => signal?.removeEventListener('abort', abort)
  done.then(forget, forget)
  return {
    pause: async () => rest.pause('user'),
    resume: async () => rest.resume('user'),
    stop,
    async seek(to) {
      await intake.rested
      const from = intake.session
      // Paused, the group has no source here: one is opened for as long as it takes.
      if (from?.over() === true) return intake.aside((source) => source.seek?.(to) ?? Promise.resolve())
      if (from?.source.seek === undefined) throw new MessagingError('unsupported', `${runtime.name} cannot seek`)
      await from.source.seek(to)
      bench.forget(from, new MessagingError('stale', 'the group was sought to another position'))
    },
    done,
    stats: () => ({ handled: counts.handled, failed: counts.failed, inFlight: bench.running }),
    get over() {
      return intake.stopping.aborted
    },
    get resting() {
      return rest.wanted
    },
    get trouble() {
      return intake.trouble
    },
  }
}

function subscriptionOf(
  runtime: Runtime,
  settings: Settings,
  source: TopicSpec | PatternSpec,
  to: Subscription['to'],
): Subscription {
  const { mode, group, member, order, window, from, filter } = settings
  return {
    source,
    mode,
    group,
    member,
    order,
    window,
    from,
    to,
    filter,
    report(event) {
      const { topic } = event
      if (event.event === 'at-risk') runtime.events.emit('at-risk', { topic, group, lostInMs: event.lostInMs })
      else runtime.events.emit('position-lost', { topic, group, position: event.position })
    },
  }
}
