import type { Clock } from '@posthorn/core/driver'
import { heap, type Timed } from './heap.ts'

/** A clock that somebody can move forward. */
export interface SteerableClock extends Clock {
  /** Moves time on by `ms`: timers fire in order, each at its own time, and promises run between. */
  advance(ms: number): Promise<void>
  /** Whether a timer waits that somebody waits for. */
  readonly awaited: boolean
  /** Rises whenever a timer is set or fires. */
  readonly changes: number
}

interface Timer extends Timed {
  readonly call: () => void
  readonly unref: boolean
  live: boolean
}

/** Lets everything run that waits for nothing but its turn; twice, because a callback may ask for a turn of its own. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
}

/** Real time plus what it was moved on by; `manual`: stands still unless moved. */
export function steerableClock(manual: boolean): SteerableClock {
  const timers = heap<Timer>()
  let still = manual ? Date.now() : 0
  let offset = 0
  let seq = 0
  let changes = 0
  let live = 0
  let awaited = 0
  let armed: { readonly at: number; readonly timeout: NodeJS.Timeout } | undefined
  let moving: Promise<void> = Promise.resolve()

  const now = (): number => (manual ? still : Date.now() + offset)
  const head = (): Timer | undefined => {
    for (let top = timers.peek(); top !== undefined && !top.live; top = timers.peek()) timers.pop()
    return timers.peek()
  }
  const drop = (timer: Timer): void => {
    timer.live = false
    live--
    if (!timer.unref && --awaited === 0) armed?.timeout.unref()
  }
  const fireDue = (): void => {
    for (let top = head(); top !== undefined && top.at <= now(); top = head()) {
      timers.pop()
      drop(top)
      changes++
      top.call()
    }
  }
  const arm = (): void => {
    const top = manual ? undefined : head()
    if (top === undefined || (armed !== undefined && armed.at === top.at)) return
    if (armed !== undefined) clearTimeout(armed.timeout)
    const left = Math.min(Math.max(top.at - now(), 1), 2_147_483_647)
    const timeout = setTimeout(() => {
      armed = undefined
      // One that throws is its owner's fault: the others must not wait for ever for it.
      try {
        fireDue()
      } finally {
        arm()
      }
    }, left)
    if (awaited === 0) timeout.unref()
    armed = { at: top.at, timeout }
  }
  const move = async (ms: number): Promise<void> => {
    const target = now() + ms
    const to = (at: number): void => {
      if (manual) still = Math.max(still, at)
      else offset += Math.max(0, at - now())
    }
    await turn()
    for (let top = head(); top !== undefined && top.at <= target; top = head()) {
      to(top.at)
      fireDue()
      await turn()
    }
    to(target)
    fireDue()
    arm()
    await turn()
  }
  return {
    now,
    after(ms, call, options) {
      const timer: Timer = {
        at: now() + Math.max(ms || 0, 0),
        seq: seq++,
        call,
        unref: options?.unref === true,
        live: true,
      }
      timers.push(timer)
      live++
      changes++
      if (!timer.unref && awaited++ === 0) armed?.timeout.ref()
      // Deadlines are mostly cancelled: without this each would lie here until its time.
      if (timers.size > 1_024 && timers.size > 4 * live) timers.retain((each) => each.live)
      if (timers.peek() === timer) arm()
      return () => {
        if (timer.live) drop(timer)
      }
    },
    advance(ms) {
      if (!(ms >= 0)) return Promise.reject(new RangeError(`time moves on by 0 ms or more, not by ${ms}`))
      moving = moving.then(
        () => move(ms),
        () => move(ms),
      )
      return moving
    },
    get awaited() {
      return awaited > 0
    },
    get changes() {
      return changes
    },
  }
}
