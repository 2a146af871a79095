import type { MessagingError } from '../errors.ts'

/** Between a client that pushes and a source that is asked: holds what came, wakes who waits. Bounded by the client's prefetch. */
export interface Mailbox<T> {
  push(item: T): void
  /** From now on whoever waits or asks gets this error, once the items are gone if `drain`. */
  fail(error: MessagingError): void
  /** 1 to `max` items as soon as there are any; an abort yields none and loses none. */
  take(max: number, signal: AbortSignal): Promise<T[]>
  /** Everything that nobody has taken. */
  drain(): T[]
  readonly size: number
}

/** Makes an empty mailbox. `take` is never called twice at once. */
export function mailbox<T>(): Mailbox<T> {
  let items: T[] = []
  let error: MessagingError | undefined
  let wake: (() => void) | undefined
  const rouse = (): void => {
    const call = wake
    wake = undefined
    call?.()
  }
  return {
    push(item) {
      items.push(item)
      rouse()
    },
    fail(reason) {
      error ??= reason
      rouse()
    },
    async take(max, signal) {
      while (items.length === 0) {
        if (error !== undefined) throw error
        if (signal.aborted) return []
        await new Promise<void>((resolve) => {
          const done = (): void => {
            signal.removeEventListener('abort', done)
            resolve()
          }
          wake = done
          signal.addEventListener('abort', done, { once: true })
        })
      }
      if (signal.aborted) return []
      if (items.length <= max) {
        const all = items
        items = []
        return all
      }
      return items.splice(0, max)
    },
    drain() {
      const all = items
      items = []
      return all
    },
    get size() {
      return items.length
    },
  }
}
