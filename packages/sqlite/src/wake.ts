import { type FSWatcher, watch } from 'node:fs'
import { dataVersion, type Sql } from './sql.ts'

/** Tells who waits that there may be something: at once for what this process wrote, soon for what others did. */
export interface Wake {
  /** Calls back after each commit that touched one of these topics, and after each of another process. */
  listen(touches: (topic: number) => boolean, call: () => void): () => void
  /** Calls back when held messages may have become due. */
  watch(call: () => void): () => void
  /** A commit of this process touched these. */
  topics(touched: Iterable<number>): void
  held(): void
  /** Looks at once for what others wrote. */
  probe(): void
  stop(): void
}

/** After so many probes without any news the probing ends and the file is watched. */
const quietAfter = 20
/** How often a watched file is probed all the same: an event may be lost. */
const watchedMs = 1_000

/** Watches over a file by its writing handle. */
export function wakeOf(writer: Sql, path: string, probeMs: number): Wake {
  return new FileWake(writer, path, probeMs)
}

interface Listener {
  readonly touches: (topic: number) => boolean
  readonly call: () => void
}

/**
 * `PRAGMA data_version` on the writing handle changes when any other handle has committed; it reads one word of shared memory (2.6 µs). While
 * there is news it is probed every `probeMs`: cheaper than an event for each commit. When there is none, the write-ahead log is watched, so
 * that a process that only waits costs next to nothing. Where watching is not to be had the probing goes on, half as often.
 */
class FileWake implements Wake {
  readonly #writer: Sql
  readonly #path: string
  readonly #probeMs: number
  readonly #listeners = new Set<Listener>()
  readonly #watchers = new Set<{ readonly call: () => void }>()
  #timer: NodeJS.Timeout | undefined
  #watcher: FSWatcher | undefined
  /** Undefined until it was tried. */
  #watchable: boolean | undefined = process.platform === 'linux' || process.platform === 'darwin' ? undefined : false
  #quiet = 0
  #over = false
  /** Undefined until it was read: then the first probe calls everybody, which harms nobody. */
  #version: number | undefined

  constructor(writer: Sql, path: string, probeMs: number) {
    this.#writer = writer
    this.#path = path
    this.#probeMs = probeMs
  }

  listen(touches: (topic: number) => boolean, call: () => void): () => void {
    return this.#added(this.#listeners, { touches, call })
  }

  watch(call: () => void): () => void {
    return this.#added(this.#watchers, { call })
  }

  topics(touched: Iterable<number>): void {
    this.#stir()
    for (const topic of touched) for (const { touches, call } of [...this.#listeners]) if (touches(topic)) call()
  }

  held(): void {
    this.#stir()
    for (const { call } of [...this.#watchers]) call()
  }

  probe(): void {
    let now: number
    try {
      now = dataVersion(this.#writer)
    } catch {
      // Busy while another process recovers or ends; the next probe sees it.
      return
    }
    this.#quiet = now === this.#version ? this.#quiet + 1 : 0
    if (this.#quiet > 0) return
    this.#version = now
    for (const { call } of [...this.#listeners]) call()
    for (const { call } of [...this.#watchers]) call()
  }

  stop(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#unwatch()
  }

  #added<T>(to: Set<T>, entry: T): () => void {
    to.add(entry)
    this.#arm()
    return () => {
      to.delete(entry)
      // Whoever received asks again in a moment; a timer that finds nobody ends by itself.
      if (this.#over) this.#arm()
    }
  }

  /** Something happens: back to probing. */
  #stir(): void {
    if (this.#watcher === undefined) return
    this.#unwatch()
    this.#quiet = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.probe()
    this.#arm()
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #startWatching(): void {
    try {
      this.#watcher = watch(`${this.#path}-wal`, () => this.#stir())
      this.#watcher.on('error', () => {
        this.#watchable = false
        this.#stir()
      })
      this.#watchable = true
    } catch {
      this.#watchable = false
    }
  }

  #next(): NodeJS.Timeout {
    const idle = this.#quiet > quietAfter
    if (idle && this.#watcher === undefined && this.#watchable !== false) this.#startWatching()
    const ms = this.#watcher !== undefined ? watchedMs : idle ? 2 * this.#probeMs : this.#probeMs
    return setTimeout(() => {
      this.#timer = undefined
      this.probe()
      this.#arm()
    }, ms)
  }

  #arm(): void {
    if (this.#over || this.#listeners.size + this.#watchers.size === 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#unwatch()
      return
    }
    if (this.#timer === undefined) {
      const watched = this.#watcher !== undefined
      this.#timer = this.#next()
      // What was written between the last probe and the first event.
      if (!watched && this.#watcher !== undefined) this.probe()
    }
    // A source that waits keeps the process, as a socket would; a relay does not.
    if (this.#listeners.size > 0) {
      this.#timer.ref()
      this.#watcher?.ref()
    } else {
      this.#timer.unref()
      this.#watcher?.unref()
    }
  }
}
