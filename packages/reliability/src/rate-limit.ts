import { type ConsumeExtension, type Delivery, MessagingError } from '@posthorn/core'
import {
  type Claims,
  type Clock,
  checkOptions,
  extension,
  number,
  oneOf,
  partsOf,
  pause,
  type Shape,
  whole,
} from '@posthorn/core/driver'
import { notStarted } from './line.ts'

const shape = {
  perSecond: number(1e-6, 1e9),
  burst: whole(1, 1_000_000_000),
  scope: oneOf('consumer', 'group'),
} satisfies Shape

/** Evens out peaks: starts at most so many handlers a second, of this consumer or (through a store) of the whole group. */
export function rateLimit(options: {
  readonly perSecond: number
  readonly burst?: number | undefined
  readonly scope?: 'consumer' | 'group' | undefined
}): ConsumeExtension {
  checkOptions('rateLimit()', options, shape, ['perSecond'])
  const { perSecond, burst = Math.max(1, Math.ceil(perSecond / 10)), scope = 'consumer' } = options
  return extension('rateLimit', (next) => next, {
    rank: 75,
    bind({ clock, store, group, topic }) {
      const claims = store === undefined ? undefined : partsOf(store).claims
      if (scope === 'group' && claims === undefined)
        throw new MessagingError(
          'unsupported',
          "rateLimit({ scope: 'group' }) needs a store that the group shares; give connect() one, such as store: 'sqlite:./data/app.db'",
        )
      const take =
        scope === 'group'
          ? shared(claims as Claims, `${topic}\n${group}`, { perSecond, burst })
          : local(clock, perSecond, burst)
      // One asks at a time: many that waited for the same token would each ask for it, and all but one in vain.
      let line: Promise<unknown> = Promise.resolve()
      const turn = async (delivery: Delivery): Promise<void> => {
        if (delivery.signal.aborted) throw notStarted(delivery)
        for (let waitMs = await take(); waitMs > 0; waitMs = await take())
          if (!(await pause(clock, waitMs, delivery.signal))) throw notStarted(delivery)
      }
      return (next) => async (delivery) => {
        const mine = line.then(() => turn(delivery))
        line = mine.catch(() => {})
        await mine
        return next(delivery)
      }
    },
    promises: () => [
      {
        promise: 'rate',
        how: scope === 'group' ? 'store' : 'emulated',
        detail: `at most ${perSecond} starts a second, ${burst} at once, per ${scope}`,
        cost: scope === 'group' ? 'one round trip to the store per message, one more for each wait' : 'none',
      },
    ],
  })
}

type Take = () => number | Promise<number>

const shared =
  (claims: Claims, name: string, rate: { readonly perSecond: number; readonly burst: number }): Take =>
  () =>
    claims.take('rate', name, rate)

/** A token bucket of one process. */
function local(clock: Clock, perSecond: number, burst: number): Take {
  let tokens = burst
  let at = clock.now()
  return () => {
    const now = clock.now()
    tokens = Math.min(burst, tokens + ((now - at) * perSecond) / 1_000)
    at = now
    if (tokens < 1) return ((1 - tokens) * 1_000) / perSecond
    tokens--
    return 0
  }
}
