import { longestMs } from '../checked.ts'
import type { Failure, Letter } from '../driver/envelope.ts'
import { describe } from '../errors.ts'
import type { RetryPolicy } from '../extension.ts'
import type { Verdict } from '../face/handling.ts'
import { defaultRetry, isUnrecoverable } from '../retry.ts'

/** What a start of a handler came to. */
export type Ended = { readonly verdict: Verdict } | { readonly threw: unknown }

/** What is to be done about it. */
export type Decision =
  | { readonly do: 'ack' }
  | { readonly do: 'again'; readonly afterMs: number; readonly failure: Failure; readonly error: unknown }
  | { readonly do: 'bury'; readonly letter: Letter; readonly failure: Failure | undefined; readonly error: unknown }
  | { readonly do: 'park'; readonly failure: Failure; readonly error: unknown }

/** What the decision hangs on. */
export interface Standing {
  readonly attempt: number
  /** Failed starts before this one. */
  readonly failures: number
  readonly policy: RetryPolicy
  readonly onFailure: 'skip' | 'park' | 'block'
  readonly now: number
}

/** How much of an error is kept. */
const longestError = 500
const ack: Decision = { do: 'ack' }

/** The outcome policy, pure: verdict or error in, deed out. */
export function decide(ended: Ended, standing: Standing): Decision {
  const verdict = 'verdict' in ended ? ended.verdict : undefined
  if (verdict?.verdict === 'ack') return ack
  const error =
    'threw' in ended ? ended.threw : verdict?.verdict === 'reject' ? verdict.reason : 'handed back by nack()'
  const text = (typeof error === 'string' ? error : describe(error)).slice(0, longestError)
  const failure: Failure = { attempt: standing.attempt, at: standing.now, error: text }
  const bury = (reason: Letter['reason']): Decision => ({
    do: 'bury',
    letter: { reason, error: text, attempts: Math.max(standing.attempt, standing.failures + 1), at: standing.now },
    failure,
    error,
  })
  if (verdict?.verdict === 'reject') return bury('rejected')
  if ('threw' in ended && isUnrecoverable(error)) return bury('rejected')
  const { policy } = standing
  if ('threw' in ended && policy.when !== undefined && !retries(policy.when, error)) return bury('rejected')
  const again: Decision = {
    do: 'again',
    afterMs:
      verdict?.verdict === 'nack' && verdict.afterMs !== undefined
        ? verdict.afterMs
        : waitOf(policy, standing.failures + 1),
    failure,
    error,
  }
  if (standing.failures + 1 < policy.attempts || standing.onFailure === 'block') return again
  return standing.onFailure === 'park' ? { do: 'park', failure, error } : bury('attempts')
}

/** A back-off that throws or answers nonsense is none: what has failed waits as where nobody says otherwise, and its tries run out. */
function waitOf({ backoff }: RetryPolicy, failures: number): number {
  try {
    const ms: unknown = backoff(failures)
    if (typeof ms === 'number' && ms >= 0 && ms <= longestMs) return ms
  } catch {}
  return defaultRetry.backoff(failures)
}

/** A policy that throws is no reason to lose a message: then it is retried. */
function retries(when: (error: unknown) => boolean, error: unknown): boolean {
  try {
    return when(error)
  } catch {
    return true
  }
}

/** Most failures that travel with a message. */
const longestHistory = 10

/** The history with one more, bounded. */
export function withFailure(history: readonly Failure[], failure: Failure): readonly Failure[] {
  return [...history.slice(-(longestHistory - 1)), failure]
}
