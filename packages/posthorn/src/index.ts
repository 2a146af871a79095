// What an application imports; adapters and their options come from their own packages.
export * from '@posthorn/core'
export { breaker, bulkhead, idempotent, rateLimit, timeout } from '@posthorn/reliability'
export { type Configuration, configuration } from './configuration.ts'
export { connect } from './connect.ts'
