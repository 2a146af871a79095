import { decodeBody } from '../body.ts'
import type { Runtime } from '../broker/runtime.ts'
import type { Letter } from '../driver/envelope.ts'
import type { Settled } from '../driver/seam.ts'
import { describe, MessagingError } from '../errors.ts'
import type { Next } from '../face/extending.ts'
import type { Delivery, Verdict } from '../face/handling.ts'
import { topicParts } from '../topic.ts'
import { capturing } from './effects.ts'
import { decide, type Ended } from './outcome.ts'
import type { Brought, redelivery } from './redelivery.ts'
import type { Settings } from './settings.ts'
import { deliveryOf, type Task } from './task.ts'

/** Unsettled starts alone after which a message is poison. */
const poisonAt = 3

/** What handles one message at a time. */
export type Handling = ReturnType<typeof handling>

/** One message through decoding, middlewares and handler, to what is done about its outcome. */
export function handling(
  runtime: Runtime,
  settings: Settings,
  chain: Next<Delivery, Verdict>,
  bring: ReturnType<typeof redelivery>,
  counts: { handled: number; failed: number },
) {
  const { clock, events, traits } = runtime
  const atMostOnce = settings.guarantee === 'at-most-once'
  const withEffects = settings.guarantee === 'exactly-once-sends'
  const plainProducer = runtime.producer()
  const ack = (task: Task): Promise<Settled> => task.session.settle(task, { token: task.arrival.token, verdict: 'ack' })
  const state: { gaveUp: unknown } = { gaveUp: undefined }

  const letterOf = (reason: Letter['reason'], error: string, task: Task): Letter => ({
    reason,
    error,
    attempts: task.failures,
    at: clock.now(),
  })

  async function handle(task: Task): Promise<Brought> {
    const { arrival } = task
    task.starts++
    if (arrival.expiresAt !== undefined && arrival.expiresAt <= clock.now()) return expired(task)
    if (!task.alone) return begin(task)
    if (bring.unsettledAlone(task) >= poisonAt) {
      runtime.alone.copyEnded(arrival.id)
      return bring.bury(
        task,
        letterOf('poison', `${poisonAt} starts alone were never settled: it ends or hangs its process`, task),
      )
    }
    const marked = await bring.mark(task)
    if (marked !== 'go') return marked
    const brought = await begin(task)
    runtime.alone.copyEnded(arrival.id)
    if (typeof brought === 'object') await bring.unmark(task)
    return brought
  }

  async function begin(task: Task): Promise<Brought> {
    const { arrival } = task
    if (settings.onFailure === 'park' && (await behindParked(task))) return bring.follow(task)
    if (atMostOnce) {
      const acked = await ack(task)
      if (acked !== 'ok') return acked
    }
    let body: unknown
    try {
      const topic = settings.parts ?? partsNamed(arrival.topic)
      body = decodeBody(topic, arrival)
      if (body instanceof Promise) body = await body
    } catch (error) {
      counts.failed++
      if (settings.mode === 'replay') {
        state.gaveUp = error
        return 'ok'
      }
      return atMostOnce ? 'ok' : bring.bury(task, letterOf('undecodable', describe(error), task))
    }
    return start(task, body)
  }

  async function start(task: Task, body: unknown): Promise<Brought> {
    const attempt = task.attempt(traits.counts)
    const from = clock.now()
    const effects = withEffects ? capturing(runtime) : undefined
    const producer = effects?.producer ?? plainProducer
    const delivery = deliveryOf(task, body, settings.group, {
      attempt,
      replay: settings.replay,
      producer,
    })
    let ended: Ended
    try {
      ended = { verdict: await chain(delivery) }
    } catch (threw) {
      ended = { threw }
    }
    if ('verdict' in ended && ended.verdict.verdict === 'ack') {
      const settled = atMostOnce
        ? 'ok'
        : effects === undefined
          ? await ack(task)
          : await task.session.atomic(task, await effects.sends())
      if (settled === 'ok') handled(task, attempt, from)
      if (settled === 'ok' && settings.onFailure === 'park' && task.arrival.generation > 0)
        await runtime.keeper?.handledParked(task.arrival.topic, settings.group, task.arrival.id)
      return settled
    }
    counts.failed++
    if (atMostOnce) return 'ok'
    return carryOut(task, ended, attempt)
  }

  async function carryOut(task: Task, ended: Ended, attempt: number): Promise<Brought> {
    // Told to stop while it ran: what failed then failed because of us and costs no try.
    if (task.aborted) return task.session.settle(task, { token: task.arrival.token, verdict: 'nack' })
    const { policy, onFailure } = settings
    const decision = decide(ended, { attempt, failures: task.failures, policy, onFailure, now: clock.now() })
    if (decision.do === 'again') return bring.again(task, decision)
    if (decision.do === 'ack') return ack(task)
    if (settings.mode === 'replay') {
      state.gaveUp = decision.error
      return 'ok'
    }
    if (decision.do === 'park') return bring.park(task, decision)
    task.failures = decision.letter.attempts
    return bring.bury(task, decision.letter, decision.failure)
  }

  /** Whether an earlier message of its key is parked. */
  async function behindParked({ arrival }: Task): Promise<boolean> {
    if (arrival.key === undefined || runtime.keeper === undefined) return false
    return runtime.keeper.parked(arrival.topic, settings.group, arrival.key, arrival.id)
  }

  async function expired(task: Task): Promise<Brought> {
    // A request whose asker has given up: nobody misses it.
    if (task.arrival.replyTo !== undefined) return ack(task)
    const at = new Date(task.arrival.expiresAt ?? 0).toISOString()
    return bring.bury(task, letterOf('expired', `expired at ${at}`, task))
  }

  function handled(task: Task, attempt: number, from: number): void {
    counts.handled++
    if (!events.heard('handled')) return
    const { id, topic } = task.arrival
    events.emit('handled', { id, topic, group: settings.group, ms: clock.now() - from, attempt })
  }

  function partsNamed(name: string): ReturnType<typeof topicParts> | undefined {
    const topic = runtime.topicNamed(name)
    return topic === undefined ? undefined : topicParts(topic)
  }

  return {
    handle,
    /** Why a replay cannot go on. */
    get gaveUp() {
      return state.gaveUp
    },
  }
}

/** What a handler answered, as a verdict; nonsense is the handler's failure. */
export function verdictOf(answer: unknown): Verdict {
  if (answer === undefined) return { verdict: 'ack' }
  if (typeof answer === 'object' && answer !== null) {
    const { verdict } = answer as { readonly verdict?: unknown }
    if (verdict === 'ack' || verdict === 'reject') return answer as Verdict
    if (verdict === 'nack') {
      const { afterMs } = answer as { readonly afterMs?: unknown }
      if (afterMs === undefined || (typeof afterMs === 'number' && afterMs >= 0 && afterMs <= Number.MAX_SAFE_INTEGER))
        return answer as Verdict
      throw new MessagingError(
        'invalid',
        `the handler returned nack({ afterMs: ${String(afterMs)} }); give ms from 0 up`,
      )
    }
  }
  throw new MessagingError(
    'invalid',
    'the handler returned neither nothing nor a verdict; return ack(), nack(), reject(reason), or nothing',
  )
}
