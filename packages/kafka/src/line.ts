import type { Item } from './lane.ts'

/** What of a partition may be handed out next, in order; what is not due yet waits beside it. */
export interface Line {
  /** Comes behind all others; what has a time waits for it. */
  add(item: Item): void
  /** Goes back to its place. */
  putBack(item: Item): void
  /** Lets in what is due by now. */
  ripen(now: number): void
  readonly first: Item | undefined
  takeFirst(): void
  /** Takes out the one with this offset, wherever it stands; undefined: it is not there. */
  take(offset: number): Item | undefined
  /** When the next one is due; undefined: none waits. */
  readonly nextDue: number | undefined
  clear(): void
}

/** An empty line. */
export function line(): Line {
  let ready: Item[] = []
  let head = 0
  /** By time, then by offset. */
  const waiting: Item[] = []
  let sorted = true

  const drop = (items: Item[]): void => {
    ready = items
    head = 0
  }
  const byTime = (): Item[] => {
    if (!sorted) waiting.sort((a, b) => a.due - b.due || a.record.offset - b.record.offset)
    sorted = true
    return waiting
  }
  return {
    add(item) {
      if (item.due === 0) ready.push(item)
      else {
        waiting.push(item)
        sorted = false
      }
    },
    putBack(item) {
      const rest = ready.slice(head)
      const at = rest.findIndex(({ record }) => record.offset > item.record.offset)
      rest.splice(at < 0 ? rest.length : at, 0, item)
      drop(rest)
    },
    ripen(now) {
      for (let first = byTime()[0]; first !== undefined && first.due <= now; first = waiting[0]) {
        ready.push(first)
        waiting.shift()
      }
    },
    get first() {
      return ready[head]
    },
    takeFirst() {
      head++
      if (head === ready.length) drop([])
      else if (head > 1_024) drop(ready.slice(head))
    },
    take(offset) {
      const at = ready.findIndex(({ record }, index) => index >= head && record.offset === offset)
      if (at < 0) return undefined
      const [item] = ready.splice(at, 1)
      return item
    },
    get nextDue() {
      return byTime()[0]?.due
    },
    clear() {
      drop([])
      waiting.length = 0
    },
  }
}
