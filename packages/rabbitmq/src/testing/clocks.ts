// Clocks for tests of what happens after a long while.
import { type Clock, systemClock } from '@posthorn/core/driver'

/** The machine's time, whose timers can be made to go faster from some moment on. */
export function hurrying(): { readonly clock: Clock; hurry(times: number): void } {
  let speed = 1
  return {
    clock: { ...systemClock, after: (ms, call, options) => systemClock.after(ms / speed, call, options) },
    hurry(times) {
      speed = times
    },
  }
}

/** Time that stands still but for what is said to pass. */
export function byHand(): { readonly clock: Clock; pass(ms: number): void } {
  let now = Date.now()
  const timers = new Set<{ readonly at: number; readonly call: () => void }>()
  return {
    clock: {
      now: () => now,
      after(ms, call) {
        const timer = { at: now + ms, call }
        timers.add(timer)
        return () => void timers.delete(timer)
      },
    },
    pass(ms) {
      now += ms
      for (const timer of [...timers].filter(({ at }) => at <= now)) if (timers.delete(timer)) timer.call()
    },
  }
}
