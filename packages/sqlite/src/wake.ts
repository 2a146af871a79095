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

/**
 * `PRAGMA data_version` on the writing handle changes when any other handle has committed; it reads one word of shared memory (2.6 µs). One
 * timer for the whole process, and only while somebody listens.
 */
export function wakeOf(writer: Sql, probeMs: number): Wake {
  const listeners = new Set<{ readonly touches: (topic: number) => boolean; readonly call: () => void }>()
  const watchers = new Set<{ readonly call: () => void }>()
  let timer: NodeJS.Timeout | undefined
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
    if (now === version) return
    version = now
    for (const { call } of [...listeners]) call()
    for (const { call } of [...watchers]) call()
  }
  function arm(): void {
    if (listeners.size + watchers.size === 0) {
      clearInterval(timer)
      timer = undefined
      return
    }
    timer ??= setInterval(probe, probeMs)
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
    stop: () => clearInterval(timer),
  }
}
