/** The only way to the time and to timers; injected, so that fifteen minutes can pass in a millisecond. */
export interface Clock {
  /** Epoch ms. */
  now(): number
  /** Calls back once, not before `ms` from now; the answer cancels. Does not keep the process alive if `unref`. */
  after(ms: number, call: () => void, options?: { readonly unref?: boolean | undefined }): () => void
}

/** Longest that a timer of Node can wait; longer waits are chained. */
const longest = 2_147_483_647

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, call, options) {
    let timer: NodeJS.Timeout
    const arm = (left: number): void => {
      const step = Math.min(Math.max(left, 0), longest)
      timer = setTimeout(() => (left > step ? arm(left - step) : call()), step)
      if (options?.unref === true) timer.unref()
    }
    arm(ms)
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms`; an abort resolves at once with false. Never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve(false)
    const stop = (): void => {
      cancel()
      resolve(false)
    }
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', stop)
      resolve(true)
    })
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/** What `work` comes to if it ends within `ms`, else undefined. The wait keeps no process alive, and none is left when the work has ended. */
export function within<T>(work: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(undefined), { unref: true })
    work.then(
      (value) => {
        cancel()
        resolve(value)
      },
      (error) => {
        cancel()
        reject(error as Error)
      },
    )
  })
}
