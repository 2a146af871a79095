import type { Sql } from './sql.ts'

/** Tells who waits that there may be something: at once for what this process wrote, within a probe for what others did. */
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

/** After so many probes in vain the pause doubles, which halves what a process burns that only waits. */
const quietAfter = 200

/**
 * `PRAGMA data_version` on the writing handle changes when any other handle has committed; it reads one word of shared memory (2.6 µs). One
 * timer for the whole process, and only while somebody listens.
 */
export function wakeOf(writer: Sql, probeMs: number): Wake {
  const listeners = new Set<{ readonly touches: (topic: number) => boolean; readonly call: () => void }>()
  const watchers = new Set<{ readonly call: () => void }>()
  let timer: NodeJS.Timeout | undefined
  /** Probes since somebody else last wrote. */
  let quiet = 0
  let version = versionNow()

  function versionNow(): number {
    return Number(writer.row('PRAGMA data_version')?.['data_version'])
  }
  function probe(): void {
    let now: number
    try {
      now = versionNow()
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
  function next(): NodeJS.Timeout {
    return setTimeout(
      () => {
        probe()
        timer = undefined
        arm()
      },
      quiet > quietAfter ? 2 * probeMs : probeMs,
    )
  }
  function arm(): void {
    if (listeners.size + watchers.size === 0) {
      clearTimeout(timer)
      timer = undefined
      return
    }
    timer ??= next()
    // A source that waits keeps the process, as a socket would; a relay does not.
    if (listeners.size > 0) timer.ref()
    else timer.unref()
  }
  return {
    listen(touches, call) {
      const entry = { touches, call }
      listeners.add(entry)
      arm()
      return () => {
        listeners.delete(entry)
        arm()
      }
    },
    watch(call) {
      const entry = { call }
      watchers.add(entry)
      arm()
      return () => {
        watchers.delete(entry)
        arm()
      }
    },
    topics(touched) {
      for (const topic of touched) for (const { touches, call } of [...listeners]) if (touches(topic)) call()
    },
    held() {
      for (const { call } of [...watchers]) call()
    },
    probe,
    stop: () => clearTimeout(timer),
  }
}
