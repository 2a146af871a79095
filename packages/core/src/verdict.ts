import { checkOptions, checkValue, ms, type Rule, type Shape } from './checked.ts'
import type { Verdict } from './face/handling.ts'

const nackShape = { afterMs: ms() } satisfies Shape
const reasonRule: Rule = (value) => (typeof value === 'string' ? undefined : 'the reason as a text')

const acked: Verdict = Object.freeze({ verdict: 'ack' })

/** Done with. A result is kept by `idempotent({ mode: 'claim' })`, which gives it again to who sends the same message once more. */
export function ack(result?: unknown): Verdict {
  return result === undefined ? acked : { verdict: 'ack', result }
}

/** Give it to this group again, after `afterMs`; uses up a try. */
export function nack(options?: { readonly afterMs?: number | undefined }): Verdict {
  checkOptions('nack()', options, nackShape)
  return { verdict: 'nack', afterMs: options?.afterMs }
}

/** Never again: to the dead letters, with this reason as the error. */
export function reject(reason: string): Verdict {
  checkValue('reject()', 'the reason', reason, reasonRule, true)
  return { verdict: 'reject', reason }
}
