import type { Verdict } from './face/handling.ts'

const acked: Verdict = Object.freeze({ verdict: 'ack' })

/** Done with. */
export function ack(): Verdict {
  return acked
}

/** Give it to this group again, after `afterMs`; uses up a try. */
export function nack(options?: { readonly afterMs?: number | undefined }): Verdict {
  return { verdict: 'nack', afterMs: options?.afterMs }
}

/** Never again: to the dead letters, with this reason as the error. */
export function reject(reason: string): Verdict {
  return { verdict: 'reject', reason }
}
