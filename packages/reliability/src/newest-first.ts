import type { ConsumeExtension } from '@posthorn/core'
import { checkOptions, extension, ms, type Shape } from '@posthorn/core/driver'

const shape = { asideMs: ms(1_000) } satisfies Shape

/**
 * Drains a backlog from its new end: of what waits, what was sent last starts first, and the old is handled when nothing newer is there. Needs `order: 'none'`.
 * Only what is in hand can be compared, at most `window` messages (1,000 unless you say otherwise). Where the broker holds a message that is handed back
 * (SQLite, memory), the oldest of a full hand are put aside for `asideMs` at most, so that the newest of the whole backlog comes into sight; elsewhere what lies
 * behind the window comes in its own order.
 */
export function newestFirst(options: { readonly asideMs?: number | undefined } = {}): ConsumeExtension {
  checkOptions('newestFirst()', options, shape)
  const { asideMs = 60_000 } = options
  return extension('newestFirst', (next) => next, {
    rank: 96,
    newest: { asideMs },
    promises: ({ traits, window }) => [
      traits.nackDelay === 'none'
        ? {
            promise: 'newest first',
            how: 'emulated',
            detail: `of the ${window} in hand; what lies behind them on the broker comes in its own order`,
            cost: 'none; what is old stays in hand while newer messages come',
          }
        : {
            promise: 'newest first',
            how: 'emulated',
            detail: `of the whole backlog: the oldest of a full hand of ${window} are put aside for ${asideMs} ms at most and use up no try`,
            cost: 'one settlement each time that a message is put aside',
          },
    ],
  })
}
