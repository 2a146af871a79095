import { MessagingError } from '@posthorn/core/driver'
import { closed, isBusy, translated } from './errors.ts'
import type { Sql } from './sql.ts'

/** What a piece of work may do within its transaction. */
export interface Work {
  readonly sql: Sql
  /** Runs once this is committed, before anybody hears of it. */
  after(call: () => void): void
}

/** A transaction that somebody holds across awaits. */
export interface HeldTransaction {
  readonly work: Work
  commit(): void
  rollback(): void
}

/**
 * The one way to write to a file in this process. What is asked for in one turn of the event loop is one transaction; work is synchronous, so
 * no lock outlives the turn but that of a `HeldTransaction`. A lock that another process holds is waited for by timers, never on the thread.
 */
export interface Writer {
  /**
   * Runs `work` in the next transaction and resolves when it is committed; work that throws takes back only itself. It may run twice, so it
   * changes nothing but the database; the rest belongs into `after`. With `sync: false` a loss of power may undo it, together with all later.
   */
  write<R>(work: (work: Work) => R, options?: { readonly sync?: boolean; readonly signal?: AbortSignal }): Promise<R>
  /** Opens a transaction that stays open until its end; other writers of this process queue behind it. */
  begin(): Promise<HeldTransaction>
  /** Since when a held transaction is open, epoch ms of the machine. */
  readonly heldSince: number | undefined
  readonly queued: number
  /** Writes what is queued, then refuses. */
  close(): Promise<void>
}

interface Job {
  readonly run: ((work: Work) => unknown) | undefined
  readonly sync: boolean
  readonly signal: AbortSignal | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: MessagingError) => void
  readonly since: number
}

/** At most so many pieces of work in one transaction, so that a full queue does not hold the event loop. */
const mostJobs = 256

/** Makes the writer of a handle. `busyMs`: how long to wait for another process's lock. */
export function writerOf(
  sql: Sql,
  {
    path,
    synchronous,
    busyMs,
  }: { readonly path: string; readonly synchronous: 'full' | 'normal'; readonly busyMs: number },
): Writer {
  const { database } = sql
  const queue: Job[] = []
  let scheduled = false
  /** A transaction of somebody's is open, or a lock is waited for. */
  let blocked = false
  let heldSince: number | undefined
  let tries = 0
  let syncing = true
  let over = false
  let ended: (() => void) | undefined

  function schedule(): void {
    if (scheduled || blocked) return
    scheduled = true
    setImmediate(flush)
  }
  function begin(sync: boolean): void {
    const wanted = sync && synchronous === 'full'
    if (wanted !== syncing) {
      // Never a statement that was prepared before: SQLite sets this while it prepares, not when it runs.
      database.exec(wanted ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL')
      syncing = wanted
    }
    sql.run('BEGIN IMMEDIATE')
  }
  function rollback(): void {
    if (database.isTransaction) sql.run('ROLLBACK')
  }
  function flush(): void {
    scheduled = false
    dropAborted()
    const first = queue[0]
    if (first === undefined) {
      ended?.()
      return
    }
    if (first.run === undefined) {
      hold(first)
      return
    }
    let count = 0
    let sync = false
    for (; count < queue.length && count < mostJobs; count++) {
      const job = queue[count] as Job
      if (job.run === undefined) break
      sync ||= job.sync
    }
    const jobs = queue.slice(0, count)
    try {
      together(jobs, sync)
    } catch (error) {
      if (isBusy(error)) {
        wait(error)
        return
      }
      if (count === 1) {
        queue.shift()
        first.reject(translated(error, path))
      } else if (!alone(jobs)) return
    }
    if (queue.length > 0 || over) schedule()
  }
  /** All in one transaction, or none of them. */
  function together(jobs: readonly Job[], sync: boolean): void {
    const afters: (() => void)[] = []
    const work: Work = { sql, after: (call) => void afters.push(call) }
    const results: unknown[] = []
    begin(sync)
    try {
      for (const job of jobs) results.push((job.run as (work: Work) => unknown)(work))
      sql.run('COMMIT')
    } catch (error) {
      rollback()
      throw error
    }
    tries = 0
    queue.splice(0, jobs.length)
    for (const call of afters) call()
    jobs.forEach((job, n) => void job.resolve(results[n]))
  }
  /** After one of them failed: each by itself, so that only that one fails. False where a lock has to be waited for. */
  function alone(jobs: readonly Job[]): boolean {
    for (const job of jobs) {
      try {
        together([job], job.sync)
      } catch (error) {
        if (isBusy(error)) {
          wait(error)
          return false
        }
        queue.shift()
        job.reject(translated(error, path))
      }
    }
    return true
  }
  function hold(job: Job): void {
    const afters: (() => void)[] = []
    try {
      begin(true)
    } catch (error) {
      if (isBusy(error)) wait(error)
      else {
        queue.shift()
        job.reject(translated(error, path))
        schedule()
      }
      return
    }
    tries = 0
    queue.shift()
    blocked = true
    heldSince = Date.now()
    const end = (how: 'COMMIT' | 'ROLLBACK'): void => {
      if (heldSince === undefined) return
      try {
        if (how === 'COMMIT') sql.run('COMMIT')
        else rollback()
      } catch (error) {
        rollback()
        throw translated(error, path)
      } finally {
        heldSince = undefined
        blocked = false
        schedule()
      }
      if (how === 'COMMIT') for (const call of afters) call()
    }
    job.resolve({
      work: { sql, after: (call) => void afters.push(call) },
      commit: () => end('COMMIT'),
      rollback: () => end('ROLLBACK'),
    } satisfies HeldTransaction)
  }
  /** Somebody else writes: soon again, and for those who waited too long the end. */
  function wait(error: unknown): void {
    tries++
    const now = performance.now()
    while (queue[0] !== undefined && now - queue[0].since > busyMs) queue.shift()?.reject(translated(error, path))
    if (queue.length === 0) {
      if (over) ended?.()
      return
    }
    blocked = true
    const again = (): void => {
      blocked = false
      flush()
    }
    // The others' transactions last a fraction of a millisecond, unless one is held open.
    if (tries < 3) setImmediate(again)
    else setTimeout(again, Math.min(tries / 4, 10) * (0.5 + Math.random()))
  }
  function dropAborted(): void {
    for (let n = queue.length - 1; n >= 0; n--) if (queue[n]?.signal?.aborted === true) queue.splice(n, 1)
  }
  function add(job: Omit<Job, 'resolve' | 'reject' | 'since'>): Promise<unknown> {
    if (over) return Promise.reject(closed(`the SQLite file ${path}`))
    return new Promise((resolve, reject) => {
      const { signal } = job
      let listening: (() => void) | undefined
      const unlisten = (): void => {
        if (listening !== undefined) signal?.removeEventListener('abort', listening)
      }
      const full: Job = {
        ...job,
        since: performance.now(),
        resolve(value) {
          unlisten()
          resolve(value)
        },
        reject(error) {
          unlisten()
          reject(error)
        },
      }
      if (signal !== undefined) {
        // What is still queued was not begun: this is certain, and said at once.
        listening = () => {
          const at = queue.indexOf(full)
          if (at < 0) return
          queue.splice(at, 1)
          reject(new MessagingError('aborted', `nothing was written to ${path}: the signal came first`))
        }
        signal.addEventListener('abort', listening, { once: true })
      }
      queue.push(full)
      schedule()
    })
  }

  return {
    write: (run, { sync = true, signal } = {}) => add({ run, sync, signal }) as Promise<never>,
    begin: () => add({ run: undefined, sync: true, signal: undefined }) as Promise<HeldTransaction>,
    get heldSince() {
      return heldSince
    },
    get queued() {
      return queue.length
    },
    close() {
      over = true
      return new Promise((resolve) => {
        ended = resolve
        schedule()
      })
    },
  }
}
