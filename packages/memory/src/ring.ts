/** A queue with two open ends: every operation but `insert` is O(1), and what left it is not kept alive. */
export class Ring<T> {
  #items: (T | undefined)[] = new Array(16)
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  at(index: number): T | undefined {
    return this.#items[(this.#head + index) & (this.#items.length - 1)]
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item
    this.#length++
  }

  unshift(item: T): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#head = (this.#head - 1) & (this.#items.length - 1)
    this.#items[this.#head] = item
    this.#length++
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#items.length - 1)
    this.#length--
    return item
  }

  /** Puts the item before the first for which `later` says true, looking from the front. */
  insert(item: T, later: (other: T) => boolean): void {
    const before: T[] = []
    while (this.#length > 0 && !later(this.peek() as T)) before.push(this.shift() as T)
    this.unshift(item)
    for (let i = before.length - 1; i >= 0; i--) this.unshift(before[i] as T)
  }

  /** Keeps only those for which `keep` says true, in order. */
  retain(keep: (item: T) => boolean): void {
    for (let left = this.#length; left > 0; left--) {
      const item = this.shift() as T
      if (keep(item)) this.push(item)
    }
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#length; i++) yield this.at(i) as T
  }

  #grow(): void {
    const old = this.#items
    const next: (T | undefined)[] = new Array(old.length * 2)
    for (let i = 0; i < this.#length; i++) next[i] = old[(this.#head + i) & (old.length - 1)]
    this.#items = next
    this.#head = 0
  }
}
