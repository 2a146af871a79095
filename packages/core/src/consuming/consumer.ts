import type { Runtime } from '../broker/runtime.ts'
import { compose } from '../compose.ts'
import { reconnectPause } from '../driver/backoff.ts'
import type { Arrival } from '../driver/envelope.ts'
import type { Source, Subscription } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import { innerOf } from '../extension.ts'
import type { Middleware, Next } from '../face/extending.ts'
import type { Delivery, Verdict } from '../face/handling.ts'
import { handling } from './handling.ts'
import { lanes } from './lanes.ts'
import { type Brought, redelivery } from './redelivery.ts'
import { type Session, session } from './session.ts'
import { type Settings, subscribed } from './settings.ts'
import { stopped, Task } from './task.ts'

/** A subscription at work: the one loop behind `consume`, `respond` and `replay`. */
export interface Engine {
  pause(): Promise<void>
  resume(): Promise<void>
  stop(drainMs: number): Promise<{ readonly handled: number; readonly givenBack: number }>
  seek(to: Subscription['from']): Promise<void>
  /** Resolves when it has stopped, or has read to the end; rejects when it had to give up. */
  readonly done: Promise<void>
  stats(): { readonly handled: number; readonly failed: number; readonly inFlight: number }
  /** Undefined while deliveries can flow. */
  readonly trouble: MessagingError | undefined
}

/** Deliveries from which on a message is suspected of killing its process, and runs alone. */
const suspectFrom = 6

/** Opens the source and starts handling. Resolves when `from` is fixed and deliveries can flow. */
export async function startEngine(
  runtime: Runtime,
  settings: Settings,
  handle: Next<Delivery, Verdict>,
  to?: Subscription['to'],
): Promise<Engine> {
  const { clock, traits, driver } = runtime
  const stopping = new AbortController()
  const spec = await runtime.resolve(settings.source, stopping.signal)
  const subscription: Subscription = {
    source: spec,
    mode: settings.mode,
    group: settings.group,
    member: settings.member,
    order: settings.order,
    window: settings.window,
    from: settings.from,
    to,
    filter: settings.filter,
    report(event) {
      if (event.event === 'at-risk')
        runtime.events.emit('at-risk', { topic: event.topic, group: settings.group, lostInMs: event.lostInMs })
      else runtime.events.emit('position-lost', { topic: event.topic, group: settings.group, position: event.position })
    },
  }
  const middlewares = settings.use.map((each): Middleware<Delivery, Verdict> => {
    const { bind } = innerOf(each)
    return bind === undefined ? each.consume : bind(subscribed(runtime, settings, false))
  })
  const chain = compose(middlewares, handle)

  const counts = { handled: 0, failed: 0, givenBack: 0 }
  const suspended = new Map<Task, () => void>()
  let receiving = new AbortController()
  let paused: { readonly resumed: Promise<void>; readonly resume: () => void } | undefined
  let trouble: MessagingError | undefined
  let failure: unknown
  let wake = (): void => {}
  let quiet = (): void => {}

  const all = lanes<Task>(settings.concurrency, (task) => void run(task))
  const giveBack = async (task: Task): Promise<Brought> => {
    counts.givenBack++
    // The failures go with it: what was tried here is not forgotten where the broker can keep it.
    const failed = task.failures > task.arrival.failures ? { failures: task.failures, history: task.history } : {}
    return task.session.settle(task, { token: task.arrival.token, verdict: 'nack', ...failed })
  }
  /** What came behind a message that goes back must go back, too, or it would overtake it. */
  const breakLane = (task: Task): void => {
    if (task.lane !== undefined) for (const each of all.clearLane(task.lane)) void giveBack(each)
  }
  const bring = redelivery(runtime, settings, breakLane)
  const one = handling(runtime, settings, chain, bring, counts)

  async function run(task: Task): Promise<void> {
    let brought: Brought
    try {
      brought = stopping.signal.aborted ? await giveBack(task) : await one.handle(task)
      if (settings.mode === 'replay' && one.gaveUp !== undefined) return fail(one.gaveUp)
    } catch (error) {
      runtime.events.say(`a fault in the consumer of ${settings.name}; the message goes back: ${describe(error)}`)
      brought = await giveBack(task)
    }
    if (typeof brought === 'object' && !task.over) {
      if (stopping.signal.aborted) brought = await giveBack(task)
      else {
        all.suspend(task)
        suspended.set(
          task,
          clock.after(brought.waitMs, () => {
            suspended.delete(task)
            all.resume(task)
          }),
        )
        return
      }
    }
    if (brought !== 'ok') breakLane(task)
    all.done(task)
    if (all.running === 0 && suspended.size === 0) quiet()
  }

  function fail(error: unknown): void {
    failure ??= error
    receiving.abort()
    stopping.abort()
    wake()
    quiet()
  }

  const laneOf = (arrival: Arrival): string | undefined => {
    if (settings.order === 'none') return undefined
    if (settings.order === 'topic') return arrival.topic
    return arrival.key === undefined ? undefined : `${arrival.topic}\n${arrival.key}`
  }
  const accept = (arrival: Arrival, from: Session): void => {
    const suspect = (arrival.deliveryCount ?? 1) - arrival.failures >= suspectFrom || arrival.lone > 0
    const task = new Task(arrival, from, laneOf(arrival), suspect && settings.mode === 'shared')
    from.hold(task)
    if (settings.matches !== undefined && !settings.matches(arrival)) {
      void from.settle(task, { token: arrival.token, verdict: 'ack' })
      return
    }
    arrival.lost?.addEventListener(
      'abort',
      () => {
        task.abort(arrival.lost?.reason ?? new MessagingError('stale', `the broker took message ${arrival.id} back`))
        if (task.starts === 0) from.drop(task)
      },
      { once: true },
    )
    all.add(task)
  }

  /** Until told to stop or to pause, the end of a replay, or a failure. */
  async function receive(from: Session): Promise<'stop' | 'pause' | 'end' | MessagingError> {
    const { signal } = receiving
    for (let turn = 1; ; turn++) {
      if (stopping.signal.aborted) return 'stop'
      if (paused !== undefined) return 'pause'
      const free = settings.window - from.inHand.size
      if (free <= 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      try {
        const arrivals = await from.source.receive(free, signal)
        if (arrivals.length === 0 && settings.mode === 'replay' && !signal.aborted) return 'end'
        for (const arrival of arrivals) accept(arrival, from)
      } catch (error) {
        if (stopping.signal.aborted) return 'stop'
        return isMessagingError(error)
          ? error
          : new MessagingError('internal', `receiving from ${settings.name} failed: ${describe(error)}`, {
              cause: error,
            })
      }
      // A source that always has something must not starve timers and sockets.
      if (turn % 32 === 0) await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  const idle = (withinMs: number): Promise<boolean> =>
    all.running === 0 && suspended.size === 0
      ? Promise.resolve(true)
      : new Promise((resolve) => {
          const cancel = clock.after(withinMs, () => resolve(false))
          quiet = () => {
            cancel()
            resolve(true)
          }
        })
  const clearOut = (): void => {
    for (const [task, cancel] of [...suspended]) {
      cancel()
      suspended.delete(task)
      void giveBack(task).then(() => all.done(task))
    }
    for (const task of all.clear()) void giveBack(task)
  }

  const open = async (): Promise<Session> => {
    const source: Source = await driver.open(subscription, stopping.signal)
    return session(source, clock, traits.leaseMs, () => wake())
  }
  async function reopen(): Promise<Session | undefined> {
    for (let attempt = 1; !stopping.signal.aborted; attempt++) {
      if (!(await reconnectPause(clock, attempt, stopping.signal))) return undefined
      try {
        if ('name' in spec && settings.mode !== 'reply') await driver.declare(spec, stopping.signal)
        const opened = await open()
        trouble = undefined
        return opened
      } catch (error) {
        trouble = isMessagingError(error) ? error : new MessagingError('internal', describe(error), { cause: error })
        if (isMessagingError(error, 'unsupported', 'invalid', 'unauthorized')) throw error
      }
    }
    return undefined
  }

  let current = await open()
  async function serve(): Promise<void> {
    for (;;) {
      const why = await receive(current)
      if (why === 'stop') return
      if (why === 'end') {
        await idle(Number.MAX_SAFE_INTEGER)
        return
      }
      if (why === 'pause') {
        const waiting = paused
        clearOut()
        if (settings.mode === 'shared') {
          await idle(Number.MAX_SAFE_INTEGER)
          await current.close().catch(() => {})
        }
        await waiting?.resumed
        if (settings.mode !== 'shared') continue
      } else {
        trouble = why
        for (const task of all.clear()) current.drop(task)
        for (const task of current.inHand) task.abort(why)
        await current.close().catch(() => {})
      }
      const next = await reopen()
      if (next === undefined) return
      current = next
    }
  }
  const done = serve()
    .catch(fail)
    .then(async () => {
      await current.close().catch(() => {})
      if (failure !== undefined) throw failure
    })
  // Who does not await `done` must not get an unhandled rejection for it.
  done.catch((error) => runtime.events.say(`the consumer of ${settings.name} ended: ${describe(error)}`))

  let ending: ReturnType<Engine['stop']> | undefined
  const engine: Engine = {
    async pause() {
      if (paused !== undefined) return
      let resume = (): void => {}
      paused = { resumed: new Promise((resolve) => (resume = resolve)), resume }
      receiving.abort()
      wake()
    },
    async resume() {
      receiving = new AbortController()
      const was = paused
      paused = undefined
      was?.resume()
    },
    stop(drainMs) {
      ending ??= (async () => {
        stopping.abort()
        receiving.abort()
        wake()
        paused?.resume()
        clearOut()
        if (!(await idle(drainMs))) {
          for (const task of current.inHand) task.abort(stopped())
          await idle(1_000)
        }
        await done.catch(() => {})
        return { handled: counts.handled, givenBack: counts.givenBack }
      })()
      return ending
    },
    async seek(to) {
      if (current.source.seek === undefined) throw new MessagingError('unsupported', `${runtime.name} cannot seek`)
      await current.source.seek(to)
      for (const task of all.clear()) current.drop(task)
    },
    done,
    stats: () => ({ handled: counts.handled, failed: counts.failed, inFlight: all.running }),
    get trouble() {
      return trouble
    },
  }
  settings.signal?.addEventListener('abort', () => void engine.stop(30_000), { once: true })
  if (settings.signal?.aborted === true) void engine.stop(30_000)
  return engine
}
