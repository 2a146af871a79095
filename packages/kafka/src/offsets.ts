/**
 * What of a partition is unfinished, behind one committed offset: messages may finish in any order, the position never passes one that has
 * not. Offsets may have gaps (compaction, control records).
 */
export interface Tracker {
  /** Notes a received offset, higher than all before; gives its place for `finish`. */
  add(offset: number): number
  /** Finishes a place; false if it was finished before. */
  finish(place: number): boolean
  /** What was left out of the log up to here counts as finished. */
  reach(next: number): void
  /** What to commit: the lowest unfinished offset, or where reading goes on. */
  readonly position: number
  readonly unfinished: number
  /** What is finished above the position, ascending. */
  ahead(): number[]
  /** The same as if these places were finished, too. */
  after(places: ReadonlySet<number>): { readonly position: number; readonly ahead: number[] }
  /** Where reading goes on. */
  readonly next: number
}

const none: ReadonlySet<number> = new Set()

/** A tracker that begins at an offset. */
export function tracker(start: number): Tracker {
  let offsets: number[] = []
  let done: boolean[] = []
  /** Place of the first element. */
  let base = 0
  let head = 0
  let open = 0
  let next = start

  const compact = (): void => {
    if (head < 1024 || head * 2 < offsets.length) return
    offsets = offsets.slice(head)
    done = done.slice(head)
    base += head
    head = 0
  }
  const past = (places: ReadonlySet<number>): { position: number; ahead: number[] } => {
    let at = head
    const finished = (index: number): boolean => done[index] === true || places.has(base + index)
    while (at < done.length && finished(at)) at++
    if (at === offsets.length) return { position: next, ahead: [] }
    const ahead: number[] = []
    for (let index = at + 1; index < offsets.length; index++) if (finished(index)) ahead.push(offsets[index] as number)
    return { position: offsets[at] as number, ahead }
  }
  return {
    add(offset) {
      offsets.push(offset)
      done.push(false)
      open++
      next = offset + 1
      return base + offsets.length - 1
    },
    finish(place) {
      const at = place - base
      if (at < head || done[at] !== false) return false
      done[at] = true
      open--
      while (head < done.length && done[head] === true) head++
      compact()
      return true
    },
    reach(to) {
      if (to > next) next = to
    },
    get position() {
      return head < offsets.length ? (offsets[head] as number) : next
    },
    get unfinished() {
      return open
    },
    ahead: () => past(none).ahead,
    after: past,
    get next() {
      return next
    },
  }
}
