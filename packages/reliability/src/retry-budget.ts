import { type ConsumeExtension, MessagingError } from '@posthorn/core'
import { checkOptions, extension, number, pause, type Shape } from '@posthorn/core/driver'

const shape = { ratio: number(0, 10), perSecond: number(1e-6, 1e9) } satisfies Shape

/**
 * Keeps a dead dependency from making a storm: tries after the first are at most `ratio` of the first starts, and `perSecond` beside them. A try
 * that the budget does not cover waits in hand; it is not failed. Use one value in several consumers to share the budget.
 */
export function retryBudget(
  options: { readonly ratio?: number | undefined; readonly perSecond?: number | undefined } = {},
): ConsumeExtension {
  checkOptions('retryBudget()', options, shape)
  const { ratio = 0.2, perSecond = 1 } = options
  const most = Math.max(10, perSecond)
  let tokens = Math.max(1, perSecond)
  let at: number | undefined
  return extension('retryBudget', (next) => next, {
    rank: 80,
    bind: ({ clock }) => {
      const earn = (): void => {
        const now = clock.now()
        tokens = Math.min(most, tokens + ((now - (at ?? now)) * perSecond) / 1_000)
        at = now
      }
      return (next) => async (delivery) => {
        earn()
        if (delivery.attempt === 1) {
          tokens = Math.min(most, tokens + ratio)
          return next(delivery)
        }
        for (; tokens < 1; earn())
          if (!(await pause(clock, Math.max(1, ((1 - tokens) * 1_000) / perSecond), delivery.signal)))
            throw new MessagingError('aborted', `message ${delivery.id} was not started: its consumer stops`)
        tokens--
        return next(delivery)
      }
    },
    promises: () => [
      {
        promise: 'retry budget',
        how: 'emulated',
        detail: `tries after the first: at most ${ratio} of the first starts and ${perSecond} a second`,
        cost: 'none',
      },
    ],
  })
}
