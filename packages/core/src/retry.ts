import { exponential } from './backoff.ts'
import { callable, checkOptions, type Shape, whole } from './checked.ts'
import { isBranded } from './errors.ts'
import { extension, type RetryPolicy } from './extension.ts'
import type { Backoff, ConsumeExtension } from './face/extending.ts'

const brand = Symbol.for('posthorn.Unrecoverable')

/** Thrown by a handler: do not retry, dead-letter at once. */
export class Unrecoverable extends Error {
  override readonly name: string = 'Unrecoverable'
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options)
    Object.defineProperty(this, brand, { value: true })
  }
}

/** Whether trying again is pointless by the thrower's own word; of any copy of the package. */
export function isUnrecoverable(error: unknown): boolean {
  return isBranded(error, brand)
}

/** What happens to a failing handler where nobody says otherwise. */
export const defaultRetry: RetryPolicy = {
  attempts: 5,
  inPlace: undefined,
  backoff: exponential({ firstMs: 200, maxMs: 60_000 }),
  when: undefined,
}

const retryShape = {
  attempts: whole(1, 1_000_000),
  inPlace: whole(0, 1_000_000),
  backoff: callable,
  when: callable,
} satisfies Shape

/**
 * How often and how far apart a failing handler is tried again before its message becomes a dead letter. Stands outside
 * `idempotent()` wherever it is put in `use`: each try has a transaction of its own.
 */
export function retry(options: {
  readonly attempts: number
  readonly inPlace?: number | undefined
  readonly backoff?: Backoff | undefined
  readonly when?: ((error: unknown) => boolean) | undefined
}): ConsumeExtension {
  checkOptions('retry()', options, retryShape, ['attempts'])
  // The tries are made by the consumer, which knows how the broker brings a message back; as a middleware there is nothing to do.
  return extension('retry', (next) => next, {
    rank: 90,
    retry: {
      attempts: options.attempts,
      inPlace: options.inPlace,
      backoff: options.backoff ?? defaultRetry.backoff,
      when: options.when,
    },
  })
}
