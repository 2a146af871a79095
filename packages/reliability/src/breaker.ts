import type { ConsumeExtension, Delivery, Verdict } from '@posthorn/core'
import { type Clock, callable, checkOptions, extension, ms, pause, type Shape, whole } from '@posthorn/core/driver'
import { notStarted, waitIn } from './line.ts'

const shape = { failures: whole(1, 1_000_000), openMs: ms(1), when: callable } satisfies Shape

/**
 * Spares a dependency that is down: after so many failures in a row nothing starts for `openMs`, then one message tries; its success closes the
 * breaker. What waits is held, not failed, and uses up no try.
 */
export function breaker(options: {
  readonly failures: number
  readonly openMs: number
  readonly when?: ((error: unknown) => boolean) | undefined
}): ConsumeExtension {
  checkOptions('breaker()', options, shape, ['failures', 'openMs'])
  const { failures, openMs, when } = options
  return extension('breaker', (next) => next, {
    rank: 70,
    bind({ clock }) {
      const state = circuit(clock, failures, openMs)
      return (next) => async (delivery) => {
        const as = await state.enter(delivery)
        let verdict: Verdict
        try {
          verdict = await next(delivery)
        } catch (error) {
          state.left(as, when === undefined || when(error) ? 'failed' : 'fine')
          throw error
        }
        state.left(as, 'fine')
        return verdict
      }
    },
    promises: () => [
      {
        promise: 'breaker',
        how: 'emulated',
        detail: `after ${failures} failures in a row nothing starts for ${openMs} ms`,
        cost: 'none',
      },
    ],
  })
}

function circuit(clock: Clock, failures: number, openMs: number) {
  let inRow = 0
  let openUntil = 0
  let probing = false
  /** Who waits for what the probe comes to. */
  const waiting: (() => void)[] = []
  return {
    /** Resolves when the message may start: beside others, or alone as the probe. */
    async enter(delivery: Delivery): Promise<'free' | 'probe'> {
      while (inRow >= failures) {
        const left = openUntil - clock.now()
        if (left > 0) {
          if (!(await pause(clock, left, delivery.signal))) throw notStarted(delivery)
        } else if (probing) await waitIn(waiting, delivery)
        else {
          probing = true
          return 'probe'
        }
      }
      return 'free'
    },
    left(as: 'free' | 'probe', how: 'fine' | 'failed'): void {
      // What had started before it opened says nothing about how things stand now.
      if (as === 'free' && inRow >= failures) return
      if (as === 'probe') probing = false
      if (how === 'fine') inRow = 0
      else if (++inRow >= failures) openUntil = clock.now() + openMs
      if (as === 'probe') for (const go of waiting.splice(0)) go()
    },
  }
}
