import { isMessagingError } from '../errors.ts'
import { reconnectPause } from './backoff.ts'
import type { Clock } from './clock.ts'

/** How long the broker may be away when something begins. What has several steps has one for all of them. */
export interface Patience {
  readonly clock: Clock
  readonly until: number
}

/** One that begins now: as long as connecting may take. */
export function patience({
  clock,
  connectTimeoutMs,
}: {
  readonly clock: Clock
  readonly connectTimeoutMs: number
}): Patience {
  return { clock, until: clock.now() + connectTimeoutMs }
}

/** Tries again, with back-off, what fails because the broker is away; when the patience is over, or after an abort, with its last error. Each try is told what is left. */
export async function patiently<T>(
  { clock, until }: Patience,
  signal: AbortSignal,
  work: (leftMs: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(until - clock.now())
    } catch (error) {
      const leftMs = until - clock.now()
      if (!isMessagingError(error, 'unavailable', 'timeout', 'throttled') || signal.aborted || leftMs <= 0) throw error
      if (!(await reconnectPause(clock, attempt, signal, leftMs))) throw error
    }
  }
}
