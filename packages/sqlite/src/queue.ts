import { MessagingError } from '@posthorn/core/driver'
import type { Work } from './writer.ts'

/** A piece of work that waits for its transaction; without `run`: for one of its own, held across awaits. */
export interface Job {
  readonly run: ((work: Work) => unknown) | undefined
  readonly sync: boolean
  /** Of the bodies that it writes. */
  readonly bytes: number
  readonly signal: AbortSignal | undefined
  /** What it is known by to who may take it back. */
  readonly of: unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: MessagingError) => void
  /** Since when it waits for a lock, by `performance.now()`. */
  since: number | undefined
}

/**
 * What waits to be written: work that shares transactions, and beside it who wants one of his own. Whatever leaves by an abort, or for having
 * waited too long, is rejected.
 */
export interface Queue {
  length(): number
  /** Whether such work waits, and has not been written. */
  holds(of: unknown): boolean
  /** The next who wants a transaction of his own. */
  holder(): Job | undefined
  /** `stalled`: nothing is begun for a while. */
  add(job: Job, stalled: boolean): void
  /** The next pieces of work that share a transaction, in their order: at most so many, and no more of them once they have so many bytes. */
  works(most: number, mostBytes: number): readonly Job[]
  /** The first pieces of work are done, or have failed. */
  worked(count: number): void
  /** The holder has his transaction, or will have none. */
  served(): void
  /** Rejects those that were aborted meanwhile. */
  dropAborted(): void
  /** Rejects those that have waited for a lock for longer than `ms`. */
  dropOlder(ms: number, error: MessagingError): void
  /** From now on nothing is begun for a while, so an abort is answered at once; what is begun in its turn needs no listener for it. */
  stall(): void
}

/** A queue of what is to be written to the file at `path`. */
export function queueOf(path: string): Queue {
  let works: Job[] = []
  let holders: Job[] = []
  const heard = new WeakSet<AbortSignal>()
  const dropAborted = (): void => {
    if (!works.some(isAborted) && !holders.some(isAborted)) return
    const gone = [...works, ...holders].filter(isAborted)
    works = works.filter((job) => !isAborted(job))
    holders = holders.filter((job) => !isAborted(job))
    // What was queued was not begun, so this is certain.
    for (const { reject } of gone)
      reject(new MessagingError('aborted', `nothing was written to ${path}: the signal came first`))
  }
  const stall = (job: Job): void => {
    job.since ??= performance.now()
    const { signal } = job
    if (signal === undefined || heard.has(signal)) return
    heard.add(signal)
    signal.addEventListener('abort', dropAborted, { once: true })
  }
  return {
    length: () => works.length + holders.length,
    holds: (of) => works.some((job) => job.of === of),
    holder: () => holders[0],
    add(job, stalled) {
      ;(job.run === undefined ? holders : works).push(job)
      if (stalled) stall(job)
    },
    works(most, mostBytes) {
      let count = 0
      for (let bytes = 0; count < works.length && count < most && bytes < mostBytes; count++)
        bytes += (works[count] as Job).bytes
      return works.slice(0, count)
    },
    worked(count) {
      works = works.length > count ? works.slice(count) : []
    },
    served: () => void holders.shift(),
    dropAborted,
    dropOlder(ms, error) {
      const now = performance.now()
      for (const jobs of [works, holders])
        while (jobs[0]?.since !== undefined && now - jobs[0].since > ms) jobs.shift()?.reject(error)
    },
    stall() {
      works.forEach(stall)
      holders.forEach(stall)
    },
  }
}

function isAborted({ signal }: Job): boolean {
  return signal?.aborted === true
}
