import { show } from './checked.ts'
import { MessagingError } from './errors.ts'
import type { Middleware, Next } from './face/extending.ts'

/** The first middleware is the outermost. Runs once, at set-up: the hot path meets plain functions. */
export function compose<In, Out>(middlewares: readonly Middleware<In, Out>[], innermost: Next<In, Out>): Next<In, Out> {
  return middlewares.reduceRight((next, middleware) => {
    const outer: unknown = middleware(next)
    if (typeof outer === 'function') return outer as Next<In, Out>
    throw new MessagingError(
      'invalid',
      `an extension in \`use\` answered ${show(outer)}; let it answer a function: (next) => async (input) => next(input)`,
    )
  }, innermost)
}
