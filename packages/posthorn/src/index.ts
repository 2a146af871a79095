// What an application imports; adapters and their options come from their own packages.
export type * from '@posthorn/core'
export {
  ack,
  bytes,
  cloudEvents,
  delayLevel,
  errorCodes,
  exponential,
  fixed,
  gzip,
  isMessagingError,
  json,
  list,
  MessagingError,
  nack,
  pattern,
  reject,
  retry,
  text,
  topic,
  Unrecoverable,
  zstd,
} from '@posthorn/core'
export {
  adaptive,
  breaker,
  bulkhead,
  idempotent,
  newerOnly,
  newestFirst,
  pauseOnBurst,
  type Refused,
  rateLimit,
  retryBudget,
  skipOlder,
  timeout,
  transitions,
} from '@posthorn/reliability'
export { type Configuration, configuration } from './configuration.ts'
export { connect } from './connect.ts'
