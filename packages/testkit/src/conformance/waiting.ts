import { setTimeout as sleep } from 'node:timers/promises'

/** Asks until the answer is neither undefined nor false; after `patienceMs` it fails with what was waited for. */
export async function until<T>(
  what: string,
  patienceMs: number,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + patienceMs
  for (let stepMs = 1; ; stepMs = Math.min(stepMs * 2, 100)) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms in vain: ${what}`)
    await sleep(stepMs)
  }
}

/** Fails unless the promise settles in time; an abandoned one is let go. */
export async function within<T>(what: string, ms: number, promise: Promise<T>): Promise<T> {
  const stop = new AbortController()
  const late = lived(ms, stop.signal).then(
    () => {
      throw new Error(`${what} had not settled after ${ms} ms`)
    },
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
  }
}

const stepMs = 50

/** Time in which this process could do something: one that stood still for a second must not find its deadline passed before it looks at what has come. */
async function lived(ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) await sleep(Math.min(left, stepMs), undefined, { signal })
}
