import { type Clock, pause } from './clock.ts'

/** Full jitter: anything from 0 to the doubled ceiling, so that a thousand clients do not come back in one moment. */
export function jittered(attempt: number, firstMs: number, maxMs: number, random: () => number = Math.random): number {
  return random() * Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 40))
}

/** Waits before reconnect number `attempt`, at most `mostMs`; false when aborted. */
export function reconnectPause(
  clock: Clock,
  attempt: number,
  signal: AbortSignal,
  mostMs = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  return pause(clock, Math.min(mostMs, 20 + jittered(attempt, 50, 5_000)), signal)
}

/** Waits before try number `attempt` of who was refused: only a human being gives rights back, and many tries in a row may lock an account. */
export function refusedPause(clock: Clock, attempt: number, signal: AbortSignal): Promise<boolean> {
  return pause(clock, 5_000 + jittered(attempt, 5_000, 55_000), signal)
}
