import { type FSWatcher, watch } from 'node:fs'
import { outlooks } from './due.ts'
import { dataVersion, type Sql } from './sql.ts'

/** Tells who waits that there may be something: at once for what this process wrote, soon for what others did. */
export interface Wake {
  /** Calls back after each commit of this process that touched one of its topics, and after those of others that left something for its group. */
  listen(listener: Listener): () => void
  /** Calls back when held messages may have become due. */
  watch(call: () => void): () => void
  /** A commit of this process touched these. */
  topics(touched: Iterable<number>): void
  held(): void
  /** Calls everybody back. */
  all(): void
  /** Looks at once for what others wrote. */
  probe(): void
  stop(): void
}

/** Where files cannot be watched: after so many probes without any news they come half as often. */
const quietAfter = 20
/** How often a file that has long been watched is probed all the same: an event may be lost. */
const watchedMs = 1_000

/** Watches over a file by its writing handle. */
export function wakeOf(writer: Sql, path: string, probeMs: number): Wake {
  return new FileWake(writer, path, probeMs)
}

/** Who waits for messages of a group. */
export interface Listener {
  readonly group: { readonly id: number }
  touches(topic: number): boolean
  call(): void
  /** Until when (epoch ms) it sleeps unless it is called; undefined: for ever. `awake`: it does not, and hears of every commit. */
  readonly until: number | undefined | 'awake'
}

/**
 * `PRAGMA data_version` on the writing handle changes when any other handle has committed; it reads one word of shared memory (2.6 µs). Who
 * waits is woken by the write-ahead log, which is watched. That costs more than a probe, so after each sign of life the watch rests for
 * `probeMs`, and goes on resting while each probe finds news: of many commits a second one probe in `probeMs` sees all. Where watching is not to
 * be had there are only probes.
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
  /** Until the next probe: from 1 ms on where a commit may have been announced that is not there yet. */
  #restMs: number
  /** Probes without news in a row; as if one had been at the start, so that watching begins at once. */
  #quiet = 1
  #over = false
  /** Undefined until it was read: then the first probe calls everybody, which harms nobody. */
  #version: number | undefined

  constructor(writer: Sql, path: string, probeMs: number) {
    this.#writer = writer
    this.#path = path
    this.#probeMs = probeMs
    this.#restMs = probeMs
  }

  listen(listener: Listener): () => void {
    return this.#added(this.#listeners, listener)
  }

  watch(call: () => void): () => void {
    return this.#added(this.#watchers, { call })
  }

  topics(touched: Iterable<number>): void {
    this.#stir(this.#probeMs)
    if (this.#listeners.size === 0) return
    for (const topic of touched) for (const each of [...this.#listeners]) if (each.touches(topic)) each.call()
  }

  held(): void {
    this.#stir(this.#probeMs)
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
    this.#restMs = this.#probeMs
    for (const each of this.#concerned()) each.call()
    for (const { call } of [...this.#watchers]) call()
  }

  all(): void {
    for (const each of [...this.#listeners]) each.call()
    for (const { call } of [...this.#watchers]) call()
  }

  stop(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#unwatch()
  }

  /**
   * For whom there may be something since others wrote. Each asks for itself once it is called, which costs several times what one statement for all does: a
   * process may have hundreds, and of what others write most concerns few.
   */
  #concerned(): readonly Listener[] {
    const all = [...this.#listeners]
    // Within an open transaction this handle would see what is not committed.
    if (all.length < 2 || this.#writer.database.isTransaction) return all
    try {
      const found = outlooks(this.#writer, new Set(all.map(({ group }) => group.id)))
      return all.filter(({ group, until }) => {
        const { ready, at } = found.get(group.id) ?? { ready: true, at: undefined }
        return ready || until === 'awake' || (at !== undefined && (until === undefined || at < until))
      })
    } catch {
      return all
    }
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

  /** Something happens: the watch rests, and the next probe comes after `restMs` unless this one finds news. */
  #stir(restMs: number): void {
    if (this.#watcher === undefined) return
    this.#unwatch()
    this.#quiet = 0
    this.#restMs = restMs
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
      // An event comes with the write, before the disk has it and others see it: the probes that follow grow apart from 1 ms on.
      this.#watcher = watch(`${this.#path}-wal`, () => this.#stir(1))
      this.#watcher.on('error', () => {
        this.#watchable = false
        this.#stir(this.#probeMs)
      })
      this.#watchable = true
      // The event of a write that others do not see yet may have come before the watch.
      this.#restMs = 1
    } catch {
      this.#watchable = false
    }
  }

  #next(): NodeJS.Timeout {
    const rested = this.#quiet > 0 && this.#restMs >= this.#probeMs
    if (rested && this.#watcher === undefined && this.#watchable !== false) this.#startWatching()
    const idle = this.#watchable === false && this.#quiet > quietAfter
    return setTimeout(
      () => {
        this.#timer = undefined
        this.#restMs = Math.min(2 * this.#restMs, this.#watcher === undefined ? this.#probeMs : watchedMs)
        this.probe()
        this.#arm()
      },
      idle ? 2 * this.#probeMs : this.#restMs,
    )
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
