import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { MessagingError } from '@posthorn/core/driver'

/** How often the file is looked after. */
const everyMs = 1_000

/** What is done about a file that is no longer whole. */
export interface Absence {
  /** Its log or its index is gone, and nobody has made another yet: what was committed can still be brought into the file. */
  rescue(): void
  /** Nothing may be written any more. `moved`: the whole file is another's by now, or nobody's, so that who connects opens what is there. */
  gone(error: MessagingError, moved: boolean): void
}

type Identity = Pick<BigIntStats, 'ino' | 'dev'>

/** Undefined where nothing has this name. */
async function identityOf(path: string): Promise<Identity | undefined> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const same = (found: Identity | undefined, opened: Identity): boolean =>
  found !== undefined && found.ino === opened.ino && found.dev === opened.dev

/**
 * Watches whether the open file at `path`, its log and the index of that are still those that are there now. On Unix an open file goes on without its
 * name: what were written to it would be acknowledged, and gone with the process; and where the log or the index is gone, who comes next makes others, and two
 * write one file without knowing of each other. The answer ends the watch.
 */
export async function watchPresence(path: string, { rescue, gone }: Absence): Promise<() => void> {
  const parts = [path, `${path}-wal`, `${path}-shm`]
  const look = (): Promise<(Identity | undefined)[]> => Promise.all(parts.map(identityOf))
  const opened = await look()
  const missing = opened.indexOf(undefined)
  // Of a process that has it open already: a handle that is opened then shares that one's index, which others do not see.
  if (missing >= 0) throw missing === 0 ? moved(path) : halved(path, parts[missing] as string)
  const check = async (): Promise<void> => {
    // That its folder may not be read says nothing of the file.
    const found = await look().catch(() => opened)
    const lost = found.findIndex((each, n) => !same(each, opened[n] as Identity))
    if (lost < 0) return
    clearInterval(timer)
    if (lost > 0 && found[lost] === undefined) rescue()
    if (lost === 0) gone(moved(path), true)
    else gone(halved(path, parts[lost] as string), false)
  }
  const timer = setInterval(() => void check(), everyMs)
  timer.unref()
  return () => clearInterval(timer)
}

function moved(path: string): MessagingError {
  return new MessagingError(
    'unavailable',
    `${path} is no longer the file that was opened: it was deleted, moved or replaced, and nothing more is written to it; close the broker and connect again, or restart the process`,
  )
}

function halved(path: string, part: string): MessagingError {
  return new MessagingError(
    'unavailable',
    `${part} was deleted or replaced while ${path} is open, which it is a part of, and nothing more is written; close every broker that has it open, in all processes, then connect again`,
  )
}
