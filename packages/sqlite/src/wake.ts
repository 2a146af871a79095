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

/**
 * `PRAGMA data_version` on the writing handle changes when any other handle has committed; it reads one word of shared memory (2.6 µs). While
 * there is news it is probed every `probeMs`: cheaper than an event for each commit. When there is none, the write-ahead log is watched, so
 * that a process that only waits costs next to nothing. Where watching is not to be had the probing goes on, half as often.
 */
export function wakeOf(writer: Sql, path: string, probeMs: number): Wake {
  const listeners = new Set<{ readonly touches: (topic: number) => boolean; readonly call: () => void }>()
  const watchers = new Set<{ readonly call: () => void }>()
  let timer: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  /** Undefined until it was tried. */
  let watchable: boolean | undefined = process.platform === 'linux' || process.platform === 'darwin' ? undefined : false
  let quiet = 0
  let over = false
  /** Undefined until it was read: then the first probe calls everybody, which harms nobody. */
  let version: number | undefined

  function probe(): void {
    let now: number
    try {
      now = dataVersion(writer)
    } catch {
      // Busy while another process recovers or ends; the next probe sees it.
      return
    }
    quiet = now === version ? quiet + 1 : 0
    if (quiet > 0) return
    version = now
    for (const { call } of [...listeners]) call()
    for (const { call } of [...watchers]) call()
  }
  function unwatch(): void {
    watcher?.close()
    watcher = undefined
  }
  /** Something happens: back to probing. */
  function stir(): void {
    if (watcher === undefined) return
    unwatch()
    quiet = 0
    clearTimeout(timer)
    timer = undefined
    probe()
    arm()
  }
  function startWatching(): void {
    try {
      watcher = watch(`${path}-wal`, stir)
      watcher.on('error', () => {
        watchable = false
        stir()
      })
      watchable = true
    } catch {
      watchable = false
    }
  }
  function next(): NodeJS.Timeout {
    const idle = quiet > quietAfter
    if (idle && watcher === undefined && watchable !== false) startWatching()
    const ms = watcher !== undefined ? watchedMs : idle ? 2 * probeMs : probeMs
    const armed = setTimeout(() => {
      timer = undefined
      probe()
      arm()
    }, ms)
    return armed
  }
  function arm(): void {
    if (over || listeners.size + watchers.size === 0) {
      clearTimeout(timer)
      timer = undefined
      unwatch()
      return
    }
    if (timer === undefined) {
      const watched = watcher !== undefined
      timer = next()
      // What was written between the last probe and the first event.
      if (!watched && watcher !== undefined) probe()
    }
    // A source that waits keeps the process, as a socket would; a relay does not.
    if (listeners.size > 0) timer.ref()
    else timer.unref()
    if (listeners.size > 0) watcher?.ref()
    else watcher?.unref()
  }
  function added<T>(to: Set<T>, entry: T): () => void {
    to.add(entry)
    arm()
    return () => {
      to.delete(entry)
      // Whoever received asks again in a moment; a timer that finds nobody ends by itself.
      if (over) arm()
    }
  }
  return {
    listen: (touches, call) => added(listeners, { touches, call }),
    watch: (call) => added(watchers, { call }),
    topics(touched) {
      stir()
      for (const topic of touched) for (const { touches, call } of [...listeners]) if (touches(topic)) call()
    },
    held() {
      stir()
      for (const { call } of [...watchers]) call()
    },
    probe,
    stop() {
      over = true
      clearTimeout(timer)
      unwatch()
    },
  }
}
