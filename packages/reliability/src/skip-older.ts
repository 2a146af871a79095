import { ack, type ConsumeExtension, MessagingError } from '@posthorn/core'
import { extension } from '@posthorn/core/driver'

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
  const { olderThanMs, consent, skipped } = options
  if (!(olderThanMs > 0))
    throw new MessagingError('invalid', `skipOlder({ olderThanMs }) is ${olderThanMs}; give ms above 0`)
  if (consent !== 'discard')
    throw new MessagingError('invalid', "skipOlder() loses messages on purpose; say consent: 'discard' if you mean it")
  return extension('skipOlder', (next) => next, {
    rank: 95,
    bind:
      ({ clock }) =>
      (next) =>
      async (delivery) => {
        const ageMs = delivery.sentAt === undefined ? 0 : clock.now() - delivery.sentAt.getTime()
        if (ageMs <= olderThanMs) return next(delivery)
        skipped?.({ id: delivery.id, topic: delivery.topic, ageMs })
        return ack()
      },
    promises: () => [
      { promise: 'drain', how: 'emulated', detail: `what is older than ${olderThanMs} ms is discarded`, cost: 'none' },
    ],
  })
}
