/** Lets one suspect of a broker run at a time: two at once, in two consumers, and the one that ends the process would drag the other along. */
export interface AloneGate {
  /** Whether the caller may run its suspect now; if not, it is called when it may ask again. */
  enter(again: () => void): boolean
  leave(): void
}

/** Makes the gate of one broker. */
export function aloneGate(): AloneGate {
  let taken = false
  const waiting = new Set<() => void>()
  return {
    enter(again) {
      if (taken) {
        waiting.add(again)
        return false
      }
      waiting.delete(again)
      taken = true
      return true
    },
    leave() {
      taken = false
      const [first] = waiting
      if (first === undefined) return
      waiting.delete(first)
      first()
      // It may have nothing to run any more: then the turn is the next one's.
      if (!taken) this.leave()
    },
  }
}
