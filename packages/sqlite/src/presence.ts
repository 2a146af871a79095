import { stat } from 'node:fs/promises'
import { MessagingError } from '@posthorn/core/driver'

/** How often the file is looked after. */
const everyMs = 1_000

/**
 * Watches whether the file at `path` is still the one that is there now. On Unix an open file goes on without its name: what were written to it would be
 * acknowledged, and gone with the process. The answer ends the watch.
 */
export async function watchPresence(path: string, gone: (error: MessagingError) => void): Promise<() => void> {
  const opened = await stat(path, { bigint: true })
  const look = async (): Promise<void> => {
    try {
      const found = await stat(path, { bigint: true })
      if (found.ino === opened.ino && found.dev === opened.dev) return
    } catch (error) {
      // That its folder may not be read says nothing of the file.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return
    }
    clearInterval(timer)
    gone(
      new MessagingError(
        'unavailable',
        `${path} is no longer the file that was opened: it was deleted, moved or replaced, and nothing more is written to it; close the broker and connect again, or restart the process`,
      ),
    )
  }
  const timer = setInterval(() => void look(), everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
