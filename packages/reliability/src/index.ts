// The reliability patterns, each written once over the two ports of a store.
export { breaker } from './breaker.ts'
export { bulkhead } from './bulkhead.ts'
export { idempotent } from './idempotent.ts'
export { openKeeper } from './keeper.ts'
export { rateLimit } from './rate-limit.ts'
export { timeout } from './timeout.ts'
