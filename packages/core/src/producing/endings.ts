// How a send ends that no broker answered, and whether it may have arrived all the same.
import { MessagingError } from '../errors.ts'
import type { Slot } from './slot.ts'

/** How a slot ends to which nothing happened any more, by what is known of its tries. */
export type Ending = (slot: Slot, outcome: MessagingError['outcome']) => MessagingError

/** The deadline has come. */
export function lateError(slot: Slot, outcome: MessagingError['outcome']): MessagingError {
  const { owner, last } = slot
  const why =
    last !== undefined
      ? `; the last try ended with ${last.code}: ${last.message}`
      : slot.flight?.state === 'out'
        ? outcome === 'unknown'
          ? '; the broker has not answered'
          : '; it waited for its turn, or for what it needs on the broker, and was not written'
        : slot.message === undefined
          ? '; its codec or its schema had not answered'
          : slot.admitted
            ? '; it never got its turn'
            : '; the buffer was full, or its topic was not ready'
  return new MessagingError(
    'timeout',
    `${slot.topic} ${slot.id} was not confirmed within ${owner.timeoutMs} ms${why}`,
    {
      outcome,
      cause: last,
    },
  )
}

/** The caller's signal has fired. */
export function abortedError(slot: Slot, outcome: MessagingError['outcome'], signal: AbortSignal): MessagingError {
  return new MessagingError('aborted', `${slot.topic} ${slot.id}: the send was aborted`, {
    outcome,
    cause: signal.reason,
  })
}

/** The broker was closed. */
export function closedError(slot: Slot, outcome: MessagingError['outcome']): MessagingError {
  return new MessagingError('closed', `${slot.topic} ${slot.id}: the broker was closed before it was confirmed`, {
    outcome,
    cause: slot.last,
  })
}

/** The broker took a later message of its key. */
export function overtakenError(slot: Slot, error: MessagingError): MessagingError {
  return new MessagingError(
    'stale',
    `${slot.topic} ${slot.id} was not taken (${error.code}: ${error.message}) and a later message of its key was: it is not tried again, so that its key stays in order; send it anew if it may come late`,
    { outcome: error.outcome, cause: error },
  )
}

/** A certain failure does not undo an earlier try that may have arrived. */
export function finalError(slot: Slot, error: MessagingError): MessagingError {
  if (!slot.unknown || error.outcome === 'unknown') return error
  return new MessagingError(error.code, `${error.message} (an earlier try may have arrived)`, {
    outcome: 'unknown',
    cause: error,
    issues: error.issues,
  })
}
