import { type Delivery, MessagingError } from '@posthorn/core'

/** Who is told to stop before its handler has started. */
export function notStarted({ id }: Pick<Delivery, 'id'>): MessagingError {
  return new MessagingError('aborted', `message ${id} was not started: its consumer stops`)
}

/** Waits in line until it is called; who is told to stop while waiting leaves the line. */
export function waitIn(line: (() => void)[], delivery: Delivery): Promise<void> {
  const { signal } = delivery
  return new Promise((resolve, reject) => {
    const go = (): void => {
      signal.removeEventListener('abort', leave)
      resolve()
    }
    const leave = (): void => {
      line.splice(line.indexOf(go), 1)
      reject(notStarted(delivery))
    }
    if (signal.aborted) return reject(notStarted(delivery))
    signal.addEventListener('abort', leave, { once: true })
    line.push(go)
  })
}
