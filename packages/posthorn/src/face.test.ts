import { expect, it } from 'vitest'
import * as posthorn from './index.ts'

/** Of the plan, then what decision 26 added. What is for adapters, or for who brings parts of their own, stays in `@posthorn/core`. */
const names = {
  planned: [
    ...['connect', 'topic', 'pattern', 'json', 'text', 'bytes', 'gzip', 'zstd', 'ack', 'nack', 'reject'],
    ...[
      'exponential',
      'fixed',
      'list',
      'delayLevel',
      'retry',
      'idempotent',
      'timeout',
      'rateLimit',
      'breaker',
      'bulkhead',
    ],
    ...['Unrecoverable', 'MessagingError', 'isMessagingError'],
  ],
  added: [
    ...['configuration', 'cloudEvents', 'errorCodes', 'adaptive', 'retryBudget'],
    ...['newestFirst', 'newerOnly', 'skipOlder', 'pauseOnBurst', 'transitions'],
  ],
}

it('gives an application what it needs, and nothing else', () => {
  expect(Object.keys(posthorn).sort()).toEqual([...names.planned, ...names.added].sort())
})
