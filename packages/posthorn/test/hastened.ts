// The machine's own time, made to go fast, and a keeper whose work in it can be waited for.
import { type Clock, defineStore, type Held, type OpenKeeper, partsOf, systemClock } from '@posthorn/core/driver'
import { openKeeper } from '@posthorn/reliability'

const stepMs = 5_000

/** A clock that can be moved on, in steps: what a step made due has been done before the next. */
export interface HastenedClock extends Clock {
  advance(ms: number): Promise<void>
  /** Work that belongs to the step in which it began. */
  belongs<R>(work: Promise<R>): Promise<R>
}

/** The machine's own time until it is moved on. */
export function hastened(): HastenedClock {
  let ahead = 0
  const waiting = new Set<{ readonly at: number; readonly fire: () => void }>()
  const working = new Set<Promise<unknown>>()
  const now = (): number => Date.now() + ahead
  /** Whoever goes on after one call may make another: so often, until a turn of the event loop has begun none. */
  const done = async (): Promise<void> => {
    do {
      await Promise.allSettled([...working])
      await new Promise(setImmediate)
    } while (working.size > 0)
  }
  return {
    now,
    after(ms, call, options) {
      const one = {
        at: now() + ms,
        fire() {
          cancel()
          call()
        },
      }
      const stop = systemClock.after(ms, one.fire, options)
      const cancel = (): void => {
        waiting.delete(one)
        stop()
      }
      waiting.add(one)
      return cancel
    },
    async advance(ms) {
      for (let left = ms; left > 0; left -= stepMs) {
        ahead += Math.min(left, stepMs)
        for (const one of [...waiting]) if (one.at <= now()) one.fire()
        await done()
      }
    },
    belongs(work) {
      const own = work.finally(() => working.delete(own))
      working.add(own)
      return own
    },
  }
}

/** The keeper, whose calls of its store and of its broker belong to the step of a hastened clock. */
export const hastenedKeeper: OpenKeeper = (context) => {
  const { belongs } = context.clock as HastenedClock
  const parts = partsOf(context.store)
  const held = new Proxy(parts.held as Held, {
    get(target, name) {
      const call: unknown = Reflect.get(target, name)
      if (typeof call !== 'function') return call
      return (...args: unknown[]): unknown => {
        const answer: unknown = call.apply(target, args)
        return answer instanceof Promise ? belongs(answer) : answer
      }
    },
  })
  return openKeeper({
    ...context,
    store: defineStore({ ...parts, held }),
    relay: (rows) => belongs(context.relay(rows)),
  })
}
