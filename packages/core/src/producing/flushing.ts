import { type List, listOf, type Node, push, remove } from './slot.ts'

/** Sends between two calls of `flush()`. */
export interface Epoch {
  open: number
  ended: (() => void) | undefined
}

/** Counts what is not settled, so that a flush waits for what was sent before it and for nothing that came after. */
export interface Flushing extends Node {
  begin(): Epoch
  end(epoch: Epoch): void
  flush(): Promise<void>
  readonly open: number
}

/** Counts that are not at zero, of one broker: none yet. */
export const noneUnsent = (): List => listOf()

/** Makes a count at zero. It stands in `unsent` while there is anything, so that a broker can wait for producers that nobody holds any more. */
export function flushing(unsent: List): Flushing {
  let current: Epoch = { open: 0, ended: undefined }
  const earlier = new Set<Promise<void>>()
  // No getter: an object that has one is a dictionary to V8, and slows every list that it stands in.
  const self: Flushing & { open: number } = {
    prev: undefined,
    next: undefined,
    list: undefined,
    open: 0,
    begin() {
      if (self.open++ === 0) push(unsent, self)
      current.open++
      return current
    },
    end(epoch) {
      if (--self.open === 0) remove(self)
      if (--epoch.open === 0) epoch.ended?.()
    },
    async flush() {
      if (current.open > 0) {
        const epoch = current
        current = { open: 0, ended: undefined }
        const ended = new Promise<void>((resolve) => {
          epoch.ended = resolve
        })
        earlier.add(ended)
        void ended.then(() => earlier.delete(ended))
      }
      await Promise.all(earlier)
    },
  }
  return self
}

/** Waits for everything that was sent by now, by whomever. */
export async function flushAll(unsent: List): Promise<void> {
  const flushes: Promise<void>[] = []
  for (let node = unsent.head; node !== undefined; node = node.next) flushes.push((node as Flushing).flush())
  await Promise.all(flushes)
}
