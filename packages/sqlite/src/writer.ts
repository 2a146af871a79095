import type { MessagingError } from '@posthorn/core/driver'
import type { Durable } from './durable.ts'
import { type Ends, endsOf } from './ends.ts'
import { closed, isBusy, translated } from './errors.ts'
import { type Job, type Queue, queueOf } from './queue.ts'
import type { Sql } from './sql.ts'
import { type Transactions, transactionsOf } from './transactions.ts'

/** What a piece of work may do within its transaction. */
export interface Work {
  readonly sql: Sql
  /** Where topics end, as kept between transactions; undefined in one that its owner holds, and may take back in part. */
  readonly ends: Ends | undefined
  /** Runs once this is committed, before anybody hears of it. */
  after(call: () => void): void
}

/** A transaction that somebody holds across awaits. */
export interface HeldTransaction {
  readonly work: Work
  /** The lock is free at once; resolves when what is committed is durable, which transactions that end meanwhile share. */
  commit(): Promise<void>
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
  write<R>(work: (work: Work) => R, options?: WriteOptions): Promise<R>
  /** Opens a transaction that stays open until its end; other writers of this process queue behind it. */
  begin(): Promise<HeldTransaction>
  /** Since when a held transaction is open, epoch ms of the machine. */
  readonly heldSince: number | undefined
  /** Since when the lock is another's, a process's or a handle's of the application, while something waits for it; epoch ms of the machine. */
  readonly waitsSince: number | undefined
  readonly queued: number
  /** Whether work that was given `of` waits: not committed, nor begun in a way that others could see. */
  holds(of: unknown): boolean
  /** From now on nothing is written any more, and what a held transaction wrote is taken back. */
  refuse(error: MessagingError): void
  /** Writes what is queued, then refuses. */
  close(): Promise<void>
}

/** How a piece of work is written. */
export interface WriteOptions {
  readonly sync?: boolean
  readonly signal?: AbortSignal
  /** Of the bodies that it writes; default 0. */
  readonly bytes?: number
  /** What the work is known by. */
  readonly of?: unknown
}

/** How a writer waits and syncs. */
export interface WriterSettings {
  readonly path: string
  readonly synchronous: 'full' | 'normal'
  /** How long to wait for another process's lock. */
  readonly busyMs: number
  /** What held transactions wait for at their end; undefined where a loss of power may take the last of them. Closed with the writer. */
  readonly durable: Durable | undefined
}

/** At most so many pieces of work in one transaction, so that a full queue does not hold the event loop. */
const mostJobs = 256
/** Once its work has so many bytes of bodies, a transaction takes no more, for the same reason. */
const mostBytes = 4 * 2 ** 20

/**
 * So many hold a transaction one after the other before other work has its turn: with short ones handlers keep pace with sends. After one that took
 * longer than `longMs` work comes first: a send does not wait for all handlers that wait for the network.
 */
const mostHolders = 32
const longMs = 5

/** Makes the writer of a handle. */
export function writerOf(sql: Sql, settings: WriterSettings): Writer {
  return new FileWriter(sql, settings)
}

class FileWriter implements Writer {
  heldSince: number | undefined
  waitsSince: number | undefined
  readonly #sql: Sql
  readonly #path: string
  readonly #busyMs: number
  readonly #transactions: Transactions
  readonly #durable: Durable | undefined
  readonly #ends: Ends
  readonly #queue: Queue
  /** What shared transactions work with, and what is called once the one that is open is committed. */
  readonly #work: Work
  readonly #afters: (() => void)[] = []
  #scheduled = false
  /** How many have held a transaction since other work was written. */
  #holders = 0
  /** A transaction of somebody's is open, or a lock is waited for. */
  #blocked = false
  /** How often the lock was another's in a row. */
  #tries = 0
  #refusal: MessagingError | undefined
  #over = false
  #ended: (() => void) | undefined

  constructor(sql: Sql, { path, synchronous, busyMs, durable }: WriterSettings) {
    this.#sql = sql
    this.#path = path
    this.#busyMs = busyMs
    this.#transactions = transactionsOf(sql, synchronous)
    this.#durable = durable
    this.#ends = endsOf(sql)
    this.#queue = queueOf(path)
    this.#work = { sql, ends: this.#ends, after: (call) => void this.#afters.push(call) }
  }

  get queued(): number {
    return this.#queue.length()
  }

  write<R>(run: (work: Work) => R, { sync = true, signal, bytes = 0, of }: WriteOptions = {}): Promise<R> {
    return this.#add(run, sync, signal, bytes, of) as Promise<R>
  }

  begin(): Promise<HeldTransaction> {
    return this.#add(undefined, true, undefined, 0, undefined) as Promise<HeldTransaction>
  }

  holds(of: unknown): boolean {
    return this.#queue.holds(of)
  }

  refuse(error: MessagingError): void {
    this.#refusal = error
  }

  close(): Promise<void> {
    this.#over = true
    const drained = new Promise<void>((resolve) => {
      this.#ended = resolve
      this.#schedule()
    })
    return drained.then(() => this.#durable?.close())
  }

  #add(run: Job['run'], sync: boolean, signal: AbortSignal | undefined, bytes: number, of: unknown): Promise<unknown> {
    if (this.#over) return Promise.reject(closed(`the SQLite file ${this.#path}`))
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    return new Promise((resolve, reject) => {
      this.#queue.add({ run, sync, bytes, signal, of, resolve, reject, since: undefined }, this.#blocked)
      if (!this.#blocked) this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#blocked) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  /** All work in one transaction, or one for who holds it: they take turns, so that neither starves the other. */
  readonly #flush = (): void => {
    this.#scheduled = false
    this.#queue.dropAborted()
    const holder = this.#queue.holder()
    const jobs = holder !== undefined && this.#holders < mostHolders ? [] : this.#queue.works(mostJobs, mostBytes)
    if (jobs.length > 0) {
      if (!this.#together(jobs)) return
      this.#holders = 0
    } else if (holder !== undefined) {
      this.#hold(holder)
      return
    }
    if (this.#queue.length() > 0) this.#schedule()
    else if (this.#over) this.#ended?.()
  }

  /** All in one transaction; where one of them fails, each in its own, so that only that one fails. False where a lock has to be waited for. */
  #together(jobs: readonly Job[]): boolean {
    let results: readonly unknown[]
    try {
      results = this.#commit(jobs)
    } catch (error) {
      if (isBusy(error)) {
        this.#wait(error)
        return false
      }
      if (jobs.length > 1) return jobs.every((job) => this.#together([job]))
      this.#queue.worked(1)
      jobs[0]?.reject(translated(error, this.#path))
      return true
    }
    this.#tries = 0
    this.waitsSince = undefined
    this.#queue.worked(jobs.length)
    for (const call of this.#afters.splice(0)) call()
    for (let n = 0; n < jobs.length; n++) jobs[n]?.resolve(results[n])
    return true
  }

  /** All of them, or none. */
  #commit(jobs: readonly Job[]): readonly unknown[] {
    const results: unknown[] = []
    this.#transactions.begin(jobs.some(({ sync }) => sync))
    this.#ends.begin()
    try {
      for (const { run } of jobs) results.push(run?.(this.#work))
      this.#transactions.commit()
    } catch (error) {
      this.#afters.length = 0
      this.#ends.forget()
      this.#transactions.rollback()
      throw error
    }
    return results
  }

  #hold(job: Job): void {
    try {
      this.#transactions.begin(false)
    } catch (error) {
      if (isBusy(error)) {
        this.#wait(error)
        return
      }
      this.#queue.served()
      job.reject(translated(error, this.#path))
      this.#schedule()
      return
    }
    this.#tries = 0
    this.waitsSince = undefined
    this.#queue.served()
    this.#holders++
    this.#blocked = true
    this.#queue.stall()
    this.heldSince = Date.now()
    job.resolve(this.#held())
  }

  #held(): HeldTransaction {
    const afters: (() => void)[] = []
    const end = (how: 'commit' | 'rollback'): void => {
      if (this.heldSince === undefined) return
      try {
        if (how === 'commit' && this.#refusal !== undefined) throw this.#refusal
        this.#transactions[how]()
      } catch (error) {
        this.#transactions.rollback()
        throw translated(error, this.#path)
      } finally {
        this.#ends.forget()
        if (Date.now() - this.heldSince > longMs) this.#holders = mostHolders
        this.heldSince = undefined
        this.#blocked = false
        this.#schedule()
      }
      if (how === 'commit') for (const call of afters) call()
    }
    return {
      work: { sql: this.#sql, ends: undefined, after: (call) => void afters.push(call) },
      commit: async () => {
        end('commit')
        await this.#durable?.settle()
      },
      rollback: () => end('rollback'),
    }
  }

  /** Somebody else writes: soon again, and for those who waited too long the end. */
  #wait(error: unknown): void {
    this.#tries++
    this.waitsSince ??= Date.now()
    this.#queue.stall()
    this.#queue.dropOlder(this.#busyMs, translated(error, this.#path))
    if (this.#queue.length() === 0) {
      this.waitsSince = undefined
      if (this.#over) this.#ended?.()
      return
    }
    this.#blocked = true
    const again = (): void => {
      this.#blocked = false
      this.#flush()
    }
    // The others' transactions last a fraction of a millisecond, unless one is held open.
    if (this.#tries < 3) setImmediate(again)
    else setTimeout(again, Math.min(this.#tries / 4, 10) * (0.5 + Math.random()))
  }
}
