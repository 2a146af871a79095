/** What a heap orders: by time, then by the order in which they came. */
export interface Timed {
  readonly at: number
  readonly seq: number
}

/** The earliest first. */
export interface Heap<T extends Timed> {
  push(item: T): void
  peek(): T | undefined
  pop(): T | undefined
  /** Drops what `keep` does not want. */
  retain(keep: (item: T) => boolean): void
  readonly size: number
}

/** Makes an empty heap. */
export function heap<T extends Timed>(): Heap<T> {
  let items: T[] = []
  const before = (a: T, b: T): boolean => a.at < b.at || (a.at === b.at && a.seq < b.seq)
  const up = (start: number): void => {
    const item = items[start] as T
    let i = start
    while (i > 0) {
      const above = (i - 1) >> 1
      if (!before(item, items[above] as T)) break
      items[i] = items[above] as T
      i = above
    }
    items[i] = item
  }
  const down = (start: number): void => {
    const item = items[start] as T
    let i = start
    for (;;) {
      let below = 2 * i + 1
      if (below >= items.length) break
      if (below + 1 < items.length && before(items[below + 1] as T, items[below] as T)) below++
      if (!before(items[below] as T, item)) break
      items[i] = items[below] as T
      i = below
    }
    items[i] = item
  }
  return {
    push(item) {
      items.push(item)
      up(items.length - 1)
    },
    peek: () => items[0],
    pop() {
      const top = items[0]
      const last = items.pop()
      if (items.length > 0) {
        items[0] = last as T
        down(0)
      }
      return top
    },
    retain(keep) {
      items = items.filter(keep)
      for (let i = (items.length >> 1) - 1; i >= 0; i--) down(i)
    },
    get size() {
      return items.length
    },
  }
}
