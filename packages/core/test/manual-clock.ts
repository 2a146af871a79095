import type { Clock } from '../src/driver/clock.ts'

/** Time in hand: fifteen minutes pass in a microtask. */
export interface ManualClock extends Clock {
  /** Lets this much time pass, timer by timer, and all that follows from each. */
  advance(ms: number): Promise<void>
  /** Timers that are set. */
  readonly armed: number
}

/** Everything that was ready has run: promises, ticks and immediates. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Makes a clock that stands. */
export function manualClock(start = 1_700_000_000_000): ManualClock {
  let now = start
  let serial = 0
  const timers = new Map<number, { readonly at: number; readonly call: () => void }>()
  return {
    now: () => now,
    after(ms, call) {
      const id = ++serial
      timers.set(id, { at: now + Math.max(0, ms), call })
      return () => void timers.delete(id)
    },
    async advance(ms) {
      const end = now + ms
      await settled()
      for (;;) {
        let next: number | undefined
        for (const [id, { at }] of timers) {
          const best = next === undefined ? undefined : timers.get(next)
          if (at <= end && (best === undefined || at < best.at)) next = id
        }
        const timer = next === undefined ? undefined : timers.get(next)
        if (next === undefined || timer === undefined) break
        timers.delete(next)
        now = Math.max(now, timer.at)
        timer.call()
        await settled()
      }
      now = end
      await settled()
    },
    get armed() {
      return timers.size
    },
  }
}
