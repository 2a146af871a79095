import { reconnectPause } from '../driver/backoff.ts'
import type { Clock } from '../driver/clock.ts'
import { isMessagingError } from '../errors.ts'

export interface Patience {
  readonly clock: Clock
  /** How long the broker may be away when something begins: as long as connecting may take. */
  readonly connectTimeoutMs: number
}

/** Tries again, with back-off, what fails because the broker is away; after the patience, or an abort, with its last error. */
export async function patiently<T>(
  { clock, connectTimeoutMs }: Patience,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const until = clock.now() + connectTimeoutMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!isMessagingError(error, 'unavailable', 'timeout', 'throttled') || signal.aborted || clock.now() >= until)
        throw error
      if (!(await reconnectPause(clock, attempt, signal))) throw error
    }
  }
}
