import { MessagingError } from '@posthorn/core/driver'
import type { Work } from './writer.ts'

/** A piece of work that waits for its transaction; without `run`: for one of its own, held across awaits. */
export interface Job {
  readonly run: ((work: Work) => unknown) | undefined
  readonly sync: boolean
  readonly signal: AbortSignal | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: MessagingError) => void
  /** By `performance.now()`. */
  readonly since: number
}

/** What waits to be written, in its order. Whatever leaves it by an abort, or for having waited too long, is rejected. */
export interface Queue {
  readonly length: number
  readonly first: Job | undefined
  add(job: Job): void
  /** The next pieces of work that share a transaction: up to `most`, and none behind one that wants its own. */
  head(most: number): readonly Job[]
  /** They are done, or have failed. */
  remove(count: number): void
  /** Rejects those that were aborted meanwhile. */
  dropAborted(): void
  /** Rejects those that have waited for longer than `ms`. */
  dropOlder(ms: number, error: MessagingError): void
  /** From now on nothing is begun for a while, so an abort is answered at once; what is begun in this turn needs no listener for it. */
  stall(): void
}

/** A queue of what is to be written to the file at `path`. */
export function queueOf(path: string): Queue {
  let jobs: Job[] = []
  const heard = new WeakSet<AbortSignal>()
  const dropAborted = (): void => {
    if (!jobs.some(isAborted)) return
    const gone = jobs.filter(isAborted)
    jobs = jobs.filter((job) => !isAborted(job))
    // What was queued was not begun, so this is certain.
    for (const { reject } of gone)
      reject(new MessagingError('aborted', `nothing was written to ${path}: the signal came first`))
  }
  return {
    get length() {
      return jobs.length
    },
    get first() {
      return jobs[0]
    },
    add: (job) => void jobs.push(job),
    head(most) {
      const end = jobs.findIndex(({ run }) => run === undefined)
      return jobs.slice(0, Math.min(most, end < 0 ? jobs.length : end))
    },
    remove: (count) => void jobs.splice(0, count),
    dropAborted,
    dropOlder(ms, error) {
      const now = performance.now()
      while (jobs[0] !== undefined && now - jobs[0].since > ms) jobs.shift()?.reject(error)
    },
    stall() {
      for (const { signal } of jobs) {
        if (signal === undefined || heard.has(signal)) continue
        heard.add(signal)
        signal.addEventListener('abort', dropAborted, { once: true })
      }
    },
  }
}

function isAborted({ signal }: Job): boolean {
  return signal?.aborted === true
}
