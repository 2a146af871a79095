import { type ConsumeExtension, MessagingError } from '@posthorn/core'
import { checkValue, deliveryWith, extension, ms as msRule } from '@posthorn/core/driver'

/**
 * Ends a handler's time: its signal aborts and the start counts as failed. What the handler goes on doing afterwards is its own; a handler that
 * heeds `signal` stops.
 */
export function timeout(ms: number): ConsumeExtension {
  checkValue('timeout()', 'ms', ms, msRule(1), true)
  return extension('timeout', (next) => next, {
    rank: 60,
    bind:
      ({ clock }) =>
      (next) =>
      (delivery) =>
        new Promise((resolve, reject) => {
          const over = new AbortController()
          const cancel = clock.after(ms, () => {
            const error = new MessagingError('timeout', `the handler of message ${delivery.id} took more than ${ms} ms`)
            over.abort(error)
            reject(error)
          })
          next(deliveryWith(delivery, { signal: over.signal }))
            .then(resolve, reject)
            .finally(cancel)
        }),
    promises: () => [
      {
        promise: 'time-out',
        how: 'emulated',
        detail: `a start of the handler that takes more than ${ms} ms fails`,
        cost: 'a timer per message',
      },
    ],
  })
}
