import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { ConsumeExtension } from '@posthorn/core'
import {
  callable,
  checkOptions,
  extension,
  ms,
  number,
  refused,
  type Shape,
  telling,
  whole,
} from '@posthorn/core/driver'
import { waitIn } from './line.ts'

/** Starts after which the limit is looked at again. */
const sample = 20
/** Above this the process itself is the bottleneck. */
const loopDelayMs = 100

const shape = {
  targetMs: ms(1),
  max: whole(1, 1_000_000),
  min: whole(1, 1_000_000),
  errorRate: number(0, 1),
  changed: callable,
} satisfies Shape

/**
 * Finds how many handlers at once do good: one more while starts are faster than `targetMs` and succeed, a third fewer when they are slower, fail more
 * often than `errorRate`, or the event loop is late. Between `min` and `max`; the consumer's `concurrency` should be `max` at least.
 */
export function adaptive(options: {
  readonly targetMs: number
  readonly max: number
  readonly min?: number | undefined
  readonly errorRate?: number | undefined
  /** Told when the limit changes. */
  readonly changed?: ((limit: number) => void) | undefined
}): ConsumeExtension {
  checkOptions('adaptive()', options, shape, ['targetMs', 'max'])
  const { targetMs, max, min = 1, errorRate = 0.1, changed } = options
  if (max < min) throw refused('adaptive()', 'max', max, `a whole number not below min, which is ${min}`)
  return extension('adaptive', (next) => next, {
    rank: 68,
    bind(subscribed) {
      const { clock } = subscribed
      const tell = telling(subscribed.say, 'adaptive({ changed })', changed)
      const loop = monitorEventLoopDelay({ resolution: 10 })
      let limit = min
      let inside = 0
      let seen = { starts: 0, failed: 0, ms: 0 }
      const waiting: (() => void)[] = []
      const look = (): void => {
        const late = loop.count > 0 && loop.mean / 1e6 - 10 > loopDelayMs
        const bad = seen.failed / seen.starts > errorRate || seen.ms / seen.starts > targetMs || late
        const before = limit
        limit = bad ? Math.max(min, Math.floor((limit * 2) / 3)) : Math.min(max, limit + 1)
        seen = { starts: 0, failed: 0, ms: 0 }
        loop.reset()
        if (limit !== before) tell(limit)
      }
      const left = (ms: number, failed: boolean): void => {
        seen.starts++
        seen.ms += ms
        if (failed) seen.failed++
        if (seen.starts >= sample) look()
        inside--
        while (inside < limit && waiting.length > 0) {
          inside++
          waiting.shift()?.()
        }
        if (inside === 0) loop.disable()
      }
      return (next) => async (delivery) => {
        if (inside < limit) inside++
        else await waitIn(waiting, delivery)
        loop.enable()
        const from = clock.now()
        let failed = true
        try {
          const verdict = await next(delivery)
          failed = verdict.verdict === 'nack'
          return verdict
        } finally {
          left(clock.now() - from, failed)
        }
      }
    },
    promises: () => [
      {
        promise: 'adaptive',
        how: 'emulated',
        detail: `${min} to ${max} at once, aiming at ${targetMs} ms`,
        cost: 'none',
      },
    ],
  })
}
