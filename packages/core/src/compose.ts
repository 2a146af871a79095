import type { Middleware, Next } from './face/extending.ts'

/** The first middleware is the outermost. Runs once, at set-up: the hot path meets plain functions. */
export function compose<In, Out>(middlewares: readonly Middleware<In, Out>[], innermost: Next<In, Out>): Next<In, Out> {
  return middlewares.reduceRight((next, middleware) => middleware(next), innermost)
}
