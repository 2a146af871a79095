import { decodeBody } from '../body.ts'
import type { Runtime } from '../broker/runtime.ts'
import { checkOptions, ms, type Shape, whole } from '../checked.ts'
import { reconnectPause } from '../driver/backoff.ts'
import { pause } from '../driver/clock.ts'
import type { Arrival } from '../driver/envelope.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { ManualDelivery, Puller, Verdict } from '../face/handling.ts'
import { topicParts } from '../topic.ts'
import { deliveryOf, manualDelivery, type Reader } from './delivery.ts'
import { verdictOf } from './handling.ts'
import { decide } from './outcome.ts'
import { redelivery } from './redelivery.ts'
import { type Session, session } from './session.ts'
import type { Settings } from './settings.ts'
import { Task } from './task.ts'

const receiveShape = { max: whole(1, 1_000_000), waitMs: ms() } satisfies Shape

/** Deliveries by hand: nothing is opened before the first `receive`. */
export function puller<T>(runtime: Runtime, settings: Settings): Puller<T> {
  const { clock, traits, driver } = runtime
  const closing = new AbortController()
  const bring = redelivery(runtime, settings, () => {})
  const reader: Reader = { group: settings.group, replay: false, copied: false }
  let opening: Promise<Session> | undefined
  let turn: Promise<unknown> = Promise.resolve()

  const open = (): Promise<Session> => {
    opening ??= (async () => {
      const source = await runtime.resolve(settings.source, closing.signal)
      const { mode, group, member, order, window, from, filter } = settings
      const report = (): void => {}
      const opened = await driver.open(
        { source, mode, group, member, order, window, from, filter, report },
        closing.signal,
      )
      return session(opened, clock, traits.leaseMs, () => {})
    })()
    opening.catch(() => {
      opening = undefined
    })
    return opening
  }

  async function manual(arrival: Arrival, from: Session): Promise<ManualDelivery<T> | undefined> {
    const task = new Task(arrival, from, undefined, false)
    from.hold(task)
    task.starts = 1
    const { token } = arrival
    if (settings.matches !== undefined && !settings.matches(arrival)) {
      await from.settle(task, { token, verdict: 'ack' })
      return undefined
    }
    if (arrival.expiresAt !== undefined && arrival.expiresAt <= clock.now()) {
      await bring.put(task, 'expired', undefined)
      return undefined
    }
    let body: unknown
    try {
      const topic = settings.parts === undefined ? runtime.topicNamed(arrival.topic) : undefined
      body = await decodeBody(settings.parts ?? (topic === undefined ? undefined : topicParts(topic)), arrival)
    } catch (error) {
      await bring.put(task, 'undecodable', describe(error))
      return undefined
    }
    if (settings.guarantee === 'at-most-once' && (await from.settle(task, { token, verdict: 'ack' })) !== 'ok')
      return undefined
    task.begin(traits.counts)
    return manualDelivery<T>(deliveryOf(task, body, reader, runtime.producer()), once(task))
  }

  /** The first verdict counts; a second one is told `stale`. */
  function once(task: Task): ManualDelivery<T>['settle'] {
    const { attempt } = task
    let given = false
    return async (asked: Verdict) => {
      // Nonsense is the caller's mistake, not a verdict: the delivery stays in hand.
      const verdict = verdictOf(asked ?? null, 'settle() was given')
      if (given) return 'stale'
      given = true
      if (settings.guarantee === 'at-most-once') return 'ok'
      const { token } = task.arrival
      if (verdict.verdict === 'ack') return task.session.settle(task, { token, verdict: 'ack' })
      const { policy } = settings
      const decision = decide(
        { verdict },
        { attempt, failures: task.failures, policy, onFailure: 'skip', now: clock.now() },
      )
      for (;;) {
        const brought =
          decision.do === 'bury'
            ? await bring.bury(task, decision.letter, decision.failure)
            : decision.do === 'again'
              ? await bring.again(task, decision)
              : await task.session.settle(task, { token, verdict: 'ack' })
        if (typeof brought !== 'object') return brought
        // In hand until then: there is no lane here that could start it again, so it goes back when the wait is over.
        await pause(clock, brought.waitMs, closing.signal)
        if (decision.do === 'again' || closing.signal.aborted)
          return task.session.settle(task, { token, verdict: 'nack', failures: task.failures, history: task.history })
      }
    }
  }

  /** 1 to `max` as soon as there are any; none when `signal` aborts. */
  async function take(max: number, signal: AbortSignal): Promise<readonly ManualDelivery<T>[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const from = await open()
        while (!signal.aborted) {
          const free = Math.min(max, settings.window - from.inHand.size)
          if (free <= 0)
            throw new MessagingError(
              'throttled',
              `${from.inHand.size} deliveries are unsettled, which is the window; settle some, or raise window`,
            )
          const arrivals = await from.source.receive(free, signal)
          const made = await Promise.all(arrivals.map((arrival) => manual(arrival, from)))
          const given = made.filter((each) => each !== undefined)
          if (given.length > 0) return given
        }
        return []
      } catch (error) {
        if (closing.signal.aborted || signal.aborted) return []
        if (!isMessagingError(error, 'unavailable', 'timeout')) throw error
        const lost = opening
        opening = undefined
        await lost?.then((each) => each.close()).catch(() => {})
        await reconnectPause(clock, attempt, signal)
      }
    }
  }

  /** One `take` at a time: a source is never asked twice at once. */
  function inTurn<R>(work: () => Promise<R>): Promise<R> {
    const mine = turn.then(work, work)
    turn = mine.catch(() => {})
    return mine
  }
  const open_ = (): void => {
    runtime.open('pull')
    if (closing.signal.aborted)
      throw new MessagingError('closed', `this puller of ${settings.name} is closed; make a new one`)
  }
  const ends = [settings.signal, runtime.closing].filter((each) => each !== undefined)
  const over = (): void => void close()
  async function close(): Promise<void> {
    closing.abort()
    for (const signal of ends) signal.removeEventListener('abort', over)
    await (await opening?.catch(() => undefined))?.close()
  }
  for (const signal of ends) signal.addEventListener('abort', over, { once: true })
  if (settings.signal?.aborted === true) over()

  return {
    receive(options) {
      open_()
      checkOptions('receive()', options, receiveShape, ['max', 'waitMs'])
      const within = new AbortController()
      const cancel = clock.after(options.waitMs, () => within.abort())
      const signal = AbortSignal.any([within.signal, closing.signal])
      return inTurn(() => take(options.max, signal)).finally(cancel)
    },
    async *[Symbol.asyncIterator]() {
      try {
        while (!closing.signal.aborted) yield* await inTurn(() => take(1, closing.signal))
      } finally {
        await close()
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
