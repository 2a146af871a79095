import { ack, type ConsumeExtension } from '@posthorn/core'
import { callable, checkOptions, extension, ms, type Rule, type Shape, telling } from '@posthorn/core/driver'

const consentRule: Rule = (value) =>
  value === 'discard' ? undefined : "'discard' if you mean it, for messages are lost on purpose"
const shape = { olderThanMs: ms(1), consent: consentRule, skipped: callable } satisfies Shape

/**
 * Drains a backlog whose old messages are of no use any more: what was sent longer ago than `olderThanMs` is acknowledged without the handler.
 * It is gone then, so `consent: 'discard'` must be said; `skipped` is told of each.
 */
export function skipOlder(options: {
  readonly olderThanMs: number
  readonly consent: 'discard'
  readonly skipped?:
    | ((message: { readonly id: string; readonly topic: string; readonly ageMs: number }) => void)
    | undefined
}): ConsumeExtension {
  checkOptions('skipOlder()', options, shape, ['olderThanMs', 'consent'])
  const { olderThanMs, skipped } = options
  return extension('skipOlder', (next) => next, {
    rank: 95,
    bind(subscribed) {
      const { clock } = subscribed
      const tell = telling(subscribed.say, 'skipOlder({ skipped })', skipped)
      return (next) => async (delivery) => {
        const ageMs = delivery.sentAt === undefined ? 0 : clock.now() - delivery.sentAt.getTime()
        if (ageMs <= olderThanMs) return next(delivery)
        tell({ id: delivery.id, topic: delivery.topic, ageMs })
        return ack()
      }
    },
    promises: () => [
      { promise: 'drain', how: 'emulated', detail: `what is older than ${olderThanMs} ms is discarded`, cost: 'none' },
    ],
  })
}
