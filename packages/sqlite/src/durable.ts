import { type FileHandle, open } from 'node:fs/promises'
import { describe, MessagingError } from '@posthorn/core/driver'

/** Makes what is committed survive a loss of power. */
export interface Durable {
  /** Resolves when everything that was committed before this call does. */
  settle(): Promise<void>
  /** Ends after what is under way. */
  close(): Promise<void>
}

/** Who asks while a flush is under way shares the next one: a disk does some hundred a second, however many commits wait for one. */
export function durableBy(flush: () => Promise<void>, end: () => Promise<void> = async () => {}): Durable {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const begin = (): Promise<void> => {
    next = undefined
    const mine = flush().finally(() => {
      if (running === mine) running = undefined
    })
    running = mine
    return mine
  }
  return {
    settle() {
      if (running === undefined) return begin()
      next ??= running.then(begin, begin)
      return next
    },
    async close() {
      await (next ?? running)?.catch(() => {})
      await end()
    },
  }
}

/**
 * Of a file in WAL mode, whose commits do not wait for the disk themselves: the log beside it is flushed by a handle of our own, off the event
 * loop. SQLite flushes that log before it moves any of it into the file, so nothing is durable in another order than it was committed. It
 * keeps its locks on the file and on the index beside it, never on the log: our handle costs it none.
 */
export function durableLog(path: string): Durable {
  let opening: Promise<FileHandle> | undefined
  const flush = async (): Promise<void> => {
    try {
      opening ??= open(`${path}-wal`, 'r+')
      await (await opening).datasync()
    } catch (cause) {
      await (await opening?.catch(() => undefined))?.close().catch(() => {})
      opening = undefined
      throw new MessagingError(
        'unavailable',
        `what was committed to the SQLite file ${path} could not be flushed to the disk (${describe(cause)}); look at the disk`,
        { cause, outcome: 'unknown' },
      )
    }
  }
  return durableBy(flush, async () => (await opening?.catch(() => undefined))?.close())
}
