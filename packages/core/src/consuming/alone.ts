/** Lets one suspect of a broker run at a time: two at once, in two consumers, and the one that ends the process would drag the other along. */
export interface AloneGate {
  /** Whether the caller may run its suspect now; if not, it is called when it may ask again. */
  enter(again: () => void): boolean
  leave(): void
  /** Where a start alone is marked by a copy: whether the copy of this message may be sent, or another's is still on its way. */
  copyMayLeave(id: string, now: number): boolean
  /** The start of a copy has ended. */
  copyEnded(id: string): void
}

/** After so long another process must have got the copy. */
const copyAwayMs = 10_000

/** Makes the gate of one broker. */
export function aloneGate(): AloneGate {
  let taken = false
  const waiting = new Set<() => void>()
  let copy: { readonly id: string; readonly until: number } | undefined
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
    copyMayLeave(id, now) {
      if (copy !== undefined && copy.until > now) return false
      copy = { id, until: now + copyAwayMs }
      return true
    },
    copyEnded(id) {
      if (copy?.id === id) copy = undefined
    },
  }
}
