import { checkOptions, checkValue, ms as msRule, number, oneOf, refused, type Shape, whole } from './checked.ts'
import { MessagingError } from './errors.ts'
import type { Backoff } from './face/extending.ts'

const exponentialShape = {
  firstMs: msRule(),
  maxMs: msRule(),
  factor: number(1, 100),
  jitter: oneOf('full', 'none'),
} satisfies Shape

/** Doubles (or `factor`) from `firstMs` to `maxMs`; with full jitter anything from 0 to that. */
export function exponential(options: {
  readonly firstMs: number
  readonly maxMs: number
  readonly factor?: number | undefined
  readonly jitter?: 'full' | 'none' | undefined
}): Backoff {
  checkOptions('exponential()', options, exponentialShape, ['firstMs', 'maxMs'])
  const { firstMs, maxMs, factor = 2, jitter = 'full' } = options
  if (maxMs < firstMs) throw refused('exponential()', 'maxMs', maxMs, `no less than firstMs (${firstMs})`)
  return (attempt) => {
    const ceiling = Math.min(maxMs, firstMs * factor ** (Math.max(attempt, 1) - 1))
    return jitter === 'none' ? ceiling : Math.random() * ceiling
  }
}

/** Always the same wait. */
export function fixed(ms: number): Backoff {
  checkValue('fixed()', 'ms', ms, msRule(), true)
  return () => ms
}

/** These waits one after the other; the last one repeats. */
export function list(...ms: readonly number[]): Backoff {
  if (ms.length === 0) throw new MessagingError('invalid', 'list() needs at least one wait in ms')
  for (const each of ms) checkValue('list()', 'one of its waits', each, msRule(), true)
  return (attempt) => ms[Math.min(Math.max(attempt, 1), ms.length) - 1] as number
}

const levels = [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200] as const

/** RocketMQ's level 1 to 18 in ms: 1s 5s 10s 30s 1m 2m ... 10m 20m 30m 1h 2h. */
export function delayLevel(n: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18): number {
  checkValue('delayLevel()', 'the level', n, whole(1, 18), true)
  return (levels[n - 1] as number) * 1_000
}
