import { decodeBody } from '../body.ts'
import type { Runtime } from '../broker/runtime.ts'
import type { Settled } from '../driver/seam.ts'
import { describe, MessagingError } from '../errors.ts'
import { isOwn } from '../extension.ts'
import type { Delivery, Verdict } from '../face/handling.ts'
import { topicParts } from '../topic.ts'
import { beforehand } from './beforehand.ts'
import { deliveryOf, type Reader } from './delivery.ts'
import { type Capture, capturing } from './effects.ts'
import { decide, type Ended } from './outcome.ts'
import type { Brought, redelivery } from './redelivery.ts'
import type { Settings } from './settings.ts'
import type { Task } from './task.ts'

/** What handles one message at a time. */
export interface Handling {
  /** Starts it; its end is told exactly once. */
  handle(task: Task): void
  /** Why a replay cannot go on. */
  gaveUp(): unknown
}

/** Whom a message comes back to. */
export interface Ends {
  ended(task: Task, brought: Brought): void
  /** Its handler has ended well and its acknowledgement is on its way: it needs no slot any more, but keeps its lane until it has ended. */
  settling(task: Task): void
  /** Something of ours threw: the message must go back. */
  fault(task: Task, error: unknown): void
}

/** What a chain of middlewares ends in: a handler's own answer is looked at afterwards. */
export type Chain = (delivery: Delivery) => Answer

/** A promise, or less: `then` is called once, and calls back once. */
export interface Answer {
  then(resolve: (verdict: Verdict | void) => void, reject: (error: unknown) => void): unknown
}

/** Who answers at the end of a chain: the user's handler itself, what collects for a batch, or the outermost of the extensions. */
export type Answers = 'handler' | 'batch' | 'extensions'

/**
 * One message through decoding, middlewares and handler, to what is done about its outcome. The usual way (decoded at once, acknowledged) makes no
 * promise but the handler's: each would cost as much as the rest.
 */
export function handling(
  runtime: Runtime,
  settings: Settings,
  { chain, answers }: { readonly chain: Chain; readonly answers: Answers },
  bring: ReturnType<typeof redelivery>,
  counts: { handled: number; failed: number },
  ends: Ends,
): Handling {
  const { clock, events, traits } = runtime
  const { group, replay, parts, mode, policy, onFailure } = settings
  const atMostOnce = settings.guarantee === 'at-most-once'
  const withEffects = settings.guarantee === 'exactly-once-sends'
  const reader: Reader = { group, replay, copied: settings.use.some((each) => !isOwn(each)) }
  const producer = runtime.producer()
  const tally = runtime.meter.tally(settings.name, group)
  const giver: Giver = answers === 'extensions' ? 'an extension in `use` returned' : 'the handler returned'
  const before = beforehand(runtime, settings, bring)
  let gaveUp: unknown

  const partsNamed = (name: string): ReturnType<typeof topicParts> | undefined => {
    const topic = runtime.topicNamed(name)
    return topic === undefined ? undefined : topicParts(topic)
  }

  // What needs a promise stands in functions of its own: one that makes closures pays for them on every way through it.
  function handle(task: Task): void {
    if (before.concerns(task)) lookAt(task)
    else begin(task)
  }

  function lookAt(task: Task): void {
    before.go(task).then(
      (brought) => {
        if (brought !== 'go') finish(task, brought)
        // Taken back while it was looked at; at most once it is out of hand by now anyhow.
        else if (task.over && !atMostOnce) finish(task, 'stale')
        else begin(task)
      },
      (error: unknown) => ends.fault(task, error),
    )
  }

  function begin(task: Task): void {
    task.starts++
    let body: unknown
    try {
      body = decodeBody(parts ?? partsNamed(task.arrival.topic), task.arrival)
    } catch (error) {
      undecodable(task, error)
      return
    }
    if (body instanceof Promise) startLater(task, body)
    else start(task, body)
  }

  function startLater(task: Task, body: Promise<unknown>): void {
    body.then(
      (value) => start(task, value),
      (error: unknown) => undecodable(task, error),
    )
  }

  function undecodable(task: Task, error: unknown): void {
    counts.failed++
    if (mode === 'replay') {
      gaveUp = error
      finish(task, 'ok')
    } else if (atMostOnce) gone(task, error)
    else bringing(task, bring.put(task, 'undecodable', describe(error)))
  }

  function start(task: Task, body: unknown): void {
    task.begin(traits.counts)
    if (events.heard('handled')) task.since = clock.now()
    const effects = withEffects ? capturing(runtime) : undefined
    let answer: unknown
    try {
      answer = chain(deliveryOf(task, body, reader, effects?.producer ?? producer))
    } catch (threw) {
      turned(task, { threw })
      return
    }
    // A handler of plain JavaScript may answer at once.
    if (answer === undefined) answered(task, answer, effects)
    else
      promised(answer).then(
        (value) => answered(task, value, effects),
        (threw: unknown) => turned(task, { threw }),
      )
  }
  /** What is no promise of the language (a thenable, which may answer twice or throw; a verdict at once) becomes one. */
  function promised(answer: unknown): Answer {
    return answer instanceof Promise || answers === 'batch' ? (answer as Answer) : Promise.resolve(answer as Verdict)
  }

  function answered(task: Task, answer: unknown, effects: Capture | undefined): void {
    let verdict: Verdict
    try {
      verdict = verdictOf(answer, giver)
    } catch (threw) {
      turned(task, { threw })
      return
    }
    if (verdict.verdict !== 'ack') turned(task, { verdict })
    else if (atMostOnce) acknowledged(task, 'ok')
    else if (effects === undefined) {
      task.session.settleThen(task, { token: task.arrival.token, verdict: 'ack' }, acknowledged)
      ends.settling(task)
    } else settleWith(task, effects)
  }

  function settleWith(task: Task, effects: Capture): void {
    effects
      .sends()
      .then((sends) => task.session.atomic(task, sends))
      .then(
        (settled) => acknowledged(task, settled),
        (threw: unknown) => turned(task, { threw }),
      )
  }

  function acknowledged(task: Task, settled: Settled): void {
    if (settled === 'ok') {
      counts.handled++
      tally.handled++
      if (task.since > 0) told(task)
      if (onFailure === 'park' && task.arrival.generation > 0 && runtime.keeper !== undefined) {
        const { topic, id } = task.arrival
        bringing(
          task,
          runtime.keeper.handledParked(topic, group, id).then(() => 'ok'),
        )
        return
      }
    }
    finish(task, settled)
  }

  function told(task: Task): void {
    if (!events.heard('handled')) return
    const { id, topic } = task.arrival
    events.emit('handled', { id, topic, group, ms: clock.now() - task.since, attempt: task.attempt })
  }

  function turned(task: Task, ended: Ended): void {
    counts.failed++
    if (atMostOnce) gone(task, 'threw' in ended ? ended.threw : `the handler said ${ended.verdict.verdict}`)
    else bringing(task, carryOut(task, ended))
  }

  /** At most once: it was acknowledged before and leaves no letter, so a line is all that there is to hear of it. */
  function gone(task: Task, error: unknown): void {
    const { id, topic } = task.arrival
    events.say(`message ${id} of ${topic} is gone, as guarantee: 'at-most-once' allows: ${describe(error)}`)
    finish(task, 'ok')
  }

  async function carryOut(task: Task, ended: Ended): Promise<Brought> {
    // Told to stop while it ran: what failed then failed because of us and costs no try.
    if (task.aborted) return task.session.settle(task, { token: task.arrival.token, verdict: 'nack' })
    const { attempt, failures } = task
    const decision = decide(ended, { attempt, failures, policy, onFailure, now: clock.now() })
    if (decision.do === 'again') return bring.again(task, decision)
    if (decision.do === 'ack') return task.session.settle(task, { token: task.arrival.token, verdict: 'ack' })
    if (mode === 'replay') {
      gaveUp = decision.error
      return 'ok'
    }
    if (decision.do === 'park') return bring.park(task, decision)
    task.failures = decision.letter.attempts
    return bring.bury(task, decision.letter, decision.failure)
  }

  function bringing(task: Task, way: Promise<Brought>): void {
    way.then(
      (brought) => finish(task, brought),
      (error: unknown) => ends.fault(task, error),
    )
  }

  function finish(task: Task, brought: Brought): void {
    if (task.marked) unmark(task, brought)
    else ends.ended(task, brought)
  }

  function unmark(task: Task, brought: Brought): void {
    before.afterwards(task, brought).then(
      () => ends.ended(task, brought),
      (error: unknown) => ends.fault(task, error),
    )
  }

  return {
    handle,
    gaveUp: () => gaveUp,
  }
}

/** Who gave a verdict, as errors say it. */
type Giver = 'the handler returned' | 'an extension in `use` returned' | 'settle() was given'

/** What a giver that gave none should give. */
const instead: Readonly<Record<Giver, string>> = {
  'the handler returned': 'neither nothing nor a verdict; return ack(), nack(), reject(reason), or nothing',
  'an extension in `use` returned': 'no verdict; return what next(delivery) resolves with, or one of your own',
  'settle() was given': 'no verdict; give ack(), nack() or reject(reason)',
}

/** What a handler answered (or `who` gave), as a verdict; nonsense is the handler's failure. Only a handler says yes by saying nothing. */
export function verdictOf(answer: unknown, who: Giver = 'the handler returned'): Verdict {
  if (answer === undefined && who === 'the handler returned') return ack
  if (typeof answer === 'object' && answer !== null) {
    const { verdict } = answer as { readonly verdict?: unknown }
    if (verdict === 'ack') return answer as Verdict
    if (verdict === 'reject') {
      if (typeof (answer as { readonly reason?: unknown }).reason === 'string') return answer as Verdict
      throw new MessagingError('invalid', `${who} a reject without a reason; give reject(reason)`)
    }
    if (verdict === 'nack') {
      const { afterMs } = answer as { readonly afterMs?: unknown }
      if (afterMs === undefined || (typeof afterMs === 'number' && afterMs >= 0 && afterMs <= Number.MAX_SAFE_INTEGER))
        return answer as Verdict
      throw new MessagingError('invalid', `${who} nack({ afterMs: ${String(afterMs)} }); give ms from 0 up`)
    }
  }
  throw new MessagingError('invalid', `${who} ${instead[who]}`)
}

const ack: Verdict = Object.freeze({ verdict: 'ack' })
