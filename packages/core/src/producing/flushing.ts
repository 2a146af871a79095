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

/** Makes a count at zero. */
export function flushing(): Flushing {
  let current: Epoch = { open: 0, ended: undefined }
  let open = 0
  const earlier = new Set<Promise<void>>()
  return {
    begin() {
      open++
      current.open++
      return current
    },
    end(epoch) {
      open--
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
}
