/** Sends between two calls of `flush()`. */
export interface Epoch {
  open: number
  ended: (() => void) | undefined
}

/** Counts what is not settled, so that a flush waits for what was sent before it and for nothing that came after. */
export interface Flushing {
  begin(): Epoch
  end(epoch: Epoch): void
  flush(): Promise<void>
  readonly open: number
}

/** Makes a count at zero. It stands in `unsent` while there is anything, so that a broker can wait for producers that nobody holds any more. */
export function flushing(unsent?: Set<Pick<Flushing, 'flush'>>): Flushing {
  let current: Epoch = { open: 0, ended: undefined }
  let open = 0
  const earlier = new Set<Promise<void>>()
  const self: Flushing = {
    begin() {
      if (open++ === 0) unsent?.add(self)
      current.open++
      return current
    },
    end(epoch) {
      if (--open === 0) unsent?.delete(self)
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
    get open() {
      return open
    },
  }
  return self
}
