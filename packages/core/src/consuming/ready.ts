/** What may start, in the order in which it starts. */
export interface Ready<T> {
  readonly size: number
  add(item: T): void
  /** The one that starts next; it stays. */
  next(): T | undefined
  /** Takes out the one that `next` has just named. */
  drop(): void
  /** Takes out everything, oldest first. */
  clear(): T[]
}

/** Those that came first start first. */
export function inOrder<T>(): Ready<T> {
  let items: T[] = []
  let head = 0
  return {
    get size() {
      return items.length - head
    },
    add: (item) => void items.push(item),
    next: () => items[head],
    drop() {
      head++
      if (head === items.length) {
        items = []
        head = 0
      } else if (head > 1_024) {
        items = items.slice(head)
        head = 0
      }
    },
    clear() {
      const out = items.slice(head)
      items = []
      head = 0
      return out
    },
  }
}

/** Those that were sent last start first. */
export interface Newest<T> extends Ready<T> {
  /** Takes out up to so many of those that were sent first. */
  takeOldest(count: number): T[]
}

/** By the time at which a message was sent; what has waited for `patienceMs` starts all the same, since its broker will not let it be held for ever. */
export function newestFirst<T>(
  sentAt: (item: T) => number | undefined,
  now: () => number,
  patienceMs: number = Number.POSITIVE_INFINITY,
): Newest<T> {
  interface Entry {
    readonly item: T
    readonly at: number
    readonly since: number
  }
  /** Oldest first. */
  let entries: Entry[] = []
  let named: Entry | undefined
  const placeOf = (at: number): number => {
    let [low, high] = [0, entries.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((entries[middle] as Entry).at <= at) low = middle + 1
      else high = middle
    }
    return low
  }
  const overdue = (): Entry | undefined =>
    patienceMs === Number.POSITIVE_INFINITY ? undefined : entries.find(({ since }) => now() - since >= patienceMs)
  return {
    get size() {
      return entries.length
    },
    add(item) {
      const since = now()
      const at = sentAt(item) ?? since
      entries.splice(placeOf(at), 0, { item, at, since })
    },
    next() {
      named = overdue() ?? entries.at(-1)
      return named?.item
    },
    drop() {
      if (named === entries.at(-1)) entries.pop()
      else entries = entries.filter((each) => each !== named)
      named = undefined
    },
    clear() {
      const out = entries.map(({ item }) => item)
      entries = []
      return out
    },
    takeOldest: (count) => entries.splice(0, count).map(({ item }) => item),
  }
}
