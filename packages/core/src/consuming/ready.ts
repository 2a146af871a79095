/** What may start, in the order in which it starts. */
export interface Ready<T> {
  size(): number
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
    size: () => items.length - head,
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
    here: boolean
  }
  /** Oldest first. */
  let entries: Entry[] = []
  let named: Entry | undefined
  /** As they came, where patience ends; what has left is passed over when it is met. */
  const came = inOrder<Entry>()
  const placeOf = (at: number): number => {
    let [low, high] = [0, entries.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((entries[middle] as Entry).at <= at) low = middle + 1
      else high = middle
    }
    return low
  }
  const notes = (entry: Entry): void => {
    came.add(entry)
    // One that waits for long must not keep all that have passed it.
    if (came.size() > 4 * entries.length + 64) for (const each of came.clear()) if (each.here) came.add(each)
  }
  const overdue = (): Entry | undefined => {
    let first = came.next()
    for (; first?.here === false; first = came.next()) came.drop()
    return first !== undefined && now() - first.since >= patienceMs ? first : undefined
  }
  return {
    size: () => entries.length,
    add(item) {
      const since = now()
      const entry = { item, at: sentAt(item) ?? since, since, here: true }
      entries.splice(placeOf(entry.at), 0, entry)
      if (patienceMs !== Number.POSITIVE_INFINITY) notes(entry)
    },
    next() {
      named = overdue() ?? entries.at(-1)
      return named?.item
    },
    drop() {
      if (named === undefined) return
      named.here = false
      entries.splice(entries.lastIndexOf(named), 1)
      named = undefined
    },
    clear() {
      const out = entries.map(({ item }) => item)
      entries = []
      came.clear()
      return out
    },
    takeOldest(count) {
      const out = entries.splice(0, count)
      for (const each of out) each.here = false
      return out.map(({ item }) => item)
    },
  }
}
