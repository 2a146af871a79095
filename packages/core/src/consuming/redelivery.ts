import { deadLetterOf } from '../broker/letter.ts'
import type { Runtime } from '../broker/runtime.ts'
import type { Dispatch, Failure, Letter } from '../driver/envelope.ts'
import type { Settled } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { Decision } from './outcome.ts'
import { withFailure } from './outcome.ts'
import type { Settings } from './settings.ts'
import type { Task } from './task.ts'

/** What became of a message that is to be tried again or put away. */
export type Brought =
  /** The broker has settled it, so or so: it is out of our hands. */
  | Settled
  /** It stays in hand and starts again after so many ms. */
  | { readonly waitMs: number }

/** Longest wait in the process where the broker could do it, but only by sending a copy. */
const shortWaitMs = 1_000
/** Before what the broker or the store did not take, or did not answer, is tried again. */
export const secondThoughtMs = 1_000
/** Between two looks whether the copy of another suspect has ended. */
const copyTurnMs = 200

/** Brings failed messages back, or puts them on the shelf, by the cheapest way that the broker has and that keeps what was promised. */
export function redelivery(runtime: Runtime, settings: Settings, handedBack: (task: Task) => void) {
  const { traits } = runtime
  const holdMs = traits.holdMs === undefined ? Number.POSITIVE_INFINITY : traits.holdMs / 2
  const ordered = settings.order !== 'none'
  const copies = !ordered && settings.mode === 'shared' && traits.delay !== 'none'

  // What a private reader could not handle belongs to no group: its own is gone with it.
  const shelf = settings.mode === 'shared' ? settings.group : undefined

  const copyOf = (task: Task, over: Partial<Dispatch>): Dispatch => ({
    ...task.arrival,
    group: shelf,
    generation: task.arrival.generation + 1,
    failures: task.failures,
    history: task.history,
    notBefore: undefined,
    ...over,
  })
  /** A copy bears its own start with it: it has begun where the broker brings it again. */
  const begun = ({ session, arrival }: Task): boolean =>
    session.source.mark !== undefined || (arrival.deliveryCount ?? 1) > 1
  const nackedBy = traits.nackDelay === 'ordered' || (traits.nackDelay === 'unordered' && !ordered)

  /** Broker or store did not take it: it stays in hand, and whoever listens hears why it does not go on. */
  function notTaken({ arrival: { id, topic } }: Task, error: MessagingError): Brought {
    runtime.events.emit('send-failed', { id, topic, error })
    return { waitMs: secondThoughtMs }
  }

  /** On the shelf first, confirmed; acknowledged afterwards. */
  async function bury(task: Task, letter: Letter, failure?: Failure): Promise<Brought> {
    if (failure !== undefined) task.history = withFailure(task.history, failure)
    const put = (over: Partial<Dispatch>) =>
      runtime.relay({ ...copyOf(task, over), generation: task.arrival.generation, letter })
    let sent = await put({})
    // The history may be what made it too large: the message itself matters more.
    if (!sent.ok && sent.error.code === 'too-large') sent = await put({ history: [] })
    if (!sent.ok) return notTaken(task, sent.error)
    if (runtime.events.heard('dead-letter'))
      runtime.events.emit(
        'dead-letter',
        deadLetterOf(runtime, { ...task.arrival, failures: task.failures, history: task.history }, letter, shelf),
      )
    return task.session.settle(task, { token: task.arrival.token, verdict: 'ack' })
  }

  return {
    bury,

    /** The same of what never started. */
    put: (task: Task, reason: Letter['reason'], error: string | undefined): Promise<Brought> =>
      bury(task, { reason, error, attempts: task.failures, at: runtime.clock.now() }),

    /** After a failed start; the failure counts. */
    async again(task: Task, decision: Extract<Decision, { do: 'again' }>): Promise<Brought> {
      task.failures++
      task.history = withFailure(task.history, decision.failure)
      const { afterMs } = decision
      const { id, topic } = task.arrival
      runtime.events.emit('retry', {
        id,
        topic,
        group: settings.group,
        attempt: decision.failure.attempt,
        afterMs,
        error: decision.error,
      })
      if (settings.mode !== 'shared') return { waitMs: afterMs }
      if (settings.policy.inPlace !== undefined && task.starts <= settings.policy.inPlace) return { waitMs: afterMs }
      if (nackedBy) {
        const { token } = task.arrival
        const settled = task.session.settle(task, {
          token,
          verdict: 'nack',
          afterMs,
          failures: task.failures,
          history: task.history,
        })
        handedBack(task)
        return settled
      }
      // In hand its mark would count as a start that never ended if the process went meanwhile, for whatever reason.
      if (copies && task.alone && task.session.source.mark === undefined && task.arrival.lone > 0) {
        const notBefore = afterMs > 0 ? runtime.clock.now() + Math.min(afterMs, traits.maxDelayMs) : undefined
        const sent = await runtime.relay(copyOf(task, { lone: task.arrival.lone - 1, notBefore }))
        if (!sent.ok) return notTaken(task, sent.error)
        return task.session.settle(task, { token: task.arrival.token, verdict: 'ack' })
      }
      if (!copies || afterMs <= shortWaitMs || afterMs > traits.maxDelayMs) {
        if (afterMs <= holdMs || runtime.keeper === undefined || ordered) return { waitMs: Math.min(afterMs, holdMs) }
        return keep(task, afterMs)
      }
      const sent = await runtime.relay(copyOf(task, { notBefore: runtime.clock.now() + afterMs }))
      if (!sent.ok) return notTaken(task, sent.error)
      return task.session.settle(task, { token: task.arrival.token, verdict: 'ack' })
    },

    /** In the store, with everything of its key that follows, until it is redriven. */
    async park(task: Task, decision: Extract<Decision, { do: 'park' }>): Promise<Brought> {
      task.failures++
      task.history = withFailure(task.history, decision.failure)
      const brought = await putBehind(task, decision.failure.error)
      const { key, topic } = task.arrival
      if (brought === 'ok' && key !== undefined)
        runtime.events.emit('key-parked', { topic, group: settings.group, key, error: decision.error })
      return brought
    },

    /** Behind a message of its key that is parked. */
    follow: (task: Task): Promise<Brought> => putBehind(task, undefined),

    /** Starts alone that never ended. */
    unsettledAlone: (task: Task): number => (begun(task) ? task.arrival.lone : Math.max(0, task.arrival.lone - 1)),

    /** A start alone has ended and it stays in hand. */
    async unmark(task: Task): Promise<void> {
      // A mark that stays counts one start too many, no more.
      await task.session.source.unmark?.(task.arrival.token).catch(() => {})
    },

    /** Marks that it starts alone: nothing to do where the mark came with it. */
    async mark(task: Task): Promise<'go' | Brought> {
      const { source } = task.session
      if (source.mark !== undefined) {
        const { token } = task.arrival
        const marked = await source.mark(token).catch(() => 'unknown' as const)
        if (marked === 'ok') return 'go'
        // It has not started. Without an answer it is asked again; what is no longer ours leaves the hand.
        return marked === 'unknown'
          ? { waitMs: secondThoughtMs }
          : task.session.settle(task, { token, verdict: 'nack' })
      }
      if (task.arrival.lone > 0 && !begun(task)) {
        // The acknowledgement of what it was copied from must be on its way, or both would come back.
        for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
        return 'go'
      }
      // A copy that lies in hand when the process ends looks as if it had started: so there is one at a time.
      const { id } = task.arrival
      if (!runtime.alone.copyMayLeave(id, runtime.clock.now())) return { waitMs: copyTurnMs }
      const sent = await runtime.relay(copyOf(task, { lone: task.arrival.lone + 1 }))
      if (!sent.ok) {
        runtime.alone.copyEnded(id)
        return notTaken(task, sent.error)
      }
      return task.session.settle(task, { token: task.arrival.token, verdict: 'ack' })
    },
  }

  async function putBehind(task: Task, error: string | undefined): Promise<Brought> {
    const { keeper } = runtime
    const { key, token } = task.arrival
    if (keeper === undefined || key === undefined) return { waitMs: secondThoughtMs }
    const letter: Letter = { reason: 'parked', error, attempts: task.failures, at: runtime.clock.now() }
    try {
      await keeper.park(copyOf(task, { letter }), settings.group, key)
    } catch (error) {
      return notTaken(task, asOurs(error))
    }
    return task.session.settle(task, { token, verdict: 'ack' })
  }

  /** Longer than the broker lets us hold it: the store does. */
  async function keep(task: Task, afterMs: number): Promise<Brought> {
    try {
      await runtime.keeper?.hold([copyOf(task, { notBefore: runtime.clock.now() + afterMs })], 'schedule', undefined)
    } catch (error) {
      return notTaken(task, asOurs(error))
    }
    return task.session.settle(task, { token: task.arrival.token, verdict: 'ack' })
  }
}

function asOurs(error: unknown): MessagingError {
  if (isMessagingError(error)) return error
  return new MessagingError('internal', `the store did not take it: ${describe(error)}`, { cause: error })
}
