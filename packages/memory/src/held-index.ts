import type { HeldRow, HeldState } from '@posthorn/core/driver'
import { type Heap, heap, type Timed } from './heap.ts'

/** A row as the table keeps it: replaced, never changed. */
export interface Row extends HeldRow {
  readonly seq: number
  readonly fence: number
  /** Epoch ms; 0: nobody's. */
  readonly leasedUntil: number
}

/** Finds rows by when they are due, by lane and by order of insertion, without looking at all of them. */
export interface HeldIndex {
  changed(old: Row | undefined, now: Row | undefined): void
  /** Takes out the next row that is free and due; the caller changes it or puts it back by `again`. */
  next(state: HeldState, now: number): Row | undefined
  again(row: Row): void
  nextDue(state: HeldState): number | undefined
  inOrder(state: HeldState, lane: string | undefined): Iterable<Row>
  count(state: HeldState, lane: string | undefined): number
  /** Place of a row in the order of insertion, also of one that was deleted lately; -1 if nobody knows it. */
  seqOf(ref: string): number
}

interface Entry extends Timed {
  readonly row: Row
}
interface Shelf {
  readonly due: Heap<Entry>
  /** In order of insertion unless `mixed`: a row that came from another state may be older than the last. */
  all: Map<string, Row>
  mixed: boolean
  last: number
  /** By lane, in order of insertion. */
  readonly lanes: Map<string, string[]>
}

/** Makes an empty index; `get` reads the committed row. */
export function heldIndex(get: (ref: string) => Row | undefined): HeldIndex {
  const shelf = (): Shelf => ({ due: heap(), all: new Map(), mixed: false, last: -1, lanes: new Map() })
  const shelves: Readonly<Record<HeldState, Shelf>> = {
    ready: shelf(),
    prepared: shelf(),
    parked: shelf(),
    sent: shelf(),
  }
  const deleted = new Map<string, number>()

  // Only the first of a lane is in the heap; who stands behind it enters when it becomes the first.
  const heads = ({ lanes }: Shelf, row: Row): boolean => row.lane === undefined || lanes.get(row.lane)?.[0] === row.ref
  const enter = (row: Row): void => {
    const { due } = shelves[row.state]
    if (!heads(shelves[row.state], row)) return
    due.push({ at: Math.max(row.leasedUntil, row.dueAt), seq: row.seq, row })
    if (due.size > 1_024 && due.size > 4 * shelves[row.state].all.size) due.retain((entry) => live(entry))
  }
  const live = ({ row }: Entry): boolean => get(row.ref) === row && heads(shelves[row.state], row)
  const add = (row: Row): void => {
    const shelf = shelves[row.state]
    const { all, lanes } = shelf
    all.set(row.ref, row)
    if (row.seq < shelf.last) shelf.mixed = true
    else shelf.last = row.seq
    if (row.lane !== undefined) {
      const refs = lanes.get(row.lane) ?? []
      lanes.set(row.lane, refs)
      let i = refs.length
      while (i > 0 && seqOf(refs[i - 1] as string) > row.seq) i--
      refs.splice(i, 0, row.ref)
    }
    enter(row)
  }
  const remove = (row: Row): void => {
    const { all, lanes } = shelves[row.state]
    all.delete(row.ref)
    const refs = row.lane === undefined ? undefined : lanes.get(row.lane)
    if (refs === undefined) return
    const at = refs.indexOf(row.ref)
    refs.splice(at, 1)
    if (refs.length === 0) lanes.delete(row.lane as string)
    const head = at === 0 ? get(refs[0] ?? '') : undefined
    if (head !== undefined) enter(head)
  }
  const seqOf = (ref: string): number => get(ref)?.seq ?? deleted.get(ref) ?? -1
  const top = ({ due }: Shelf): Entry | undefined => {
    for (let entry = due.peek(); entry !== undefined && !live(entry); entry = due.peek()) due.pop()
    return due.peek()
  }
  return {
    changed(old, now) {
      if (old !== undefined && now !== undefined && old.state === now.state) {
        shelves[now.state].all.set(now.ref, now)
        return enter(now)
      }
      if (old !== undefined) remove(old)
      if (now !== undefined) add(now)
      else if (old !== undefined) {
        deleted.set(old.ref, old.seq)
        if (deleted.size > 4_096) deleted.delete(deleted.keys().next().value as string)
      }
    },
    next(state, now) {
      const entry = top(shelves[state])
      return entry === undefined || entry.at > now ? undefined : shelves[state].due.pop()?.row
    },
    again: enter,
    nextDue: (state) => top(shelves[state])?.at,
    *inOrder(state, lane) {
      const shelf = shelves[state]
      if (shelf.mixed) {
        shelf.all = new Map([...shelf.all].sort(([, a], [, b]) => a.seq - b.seq))
        shelf.mixed = false
      }
      if (lane === undefined) yield* shelf.all.values()
      else for (const ref of shelf.lanes.get(lane) ?? []) yield shelf.all.get(ref) as Row
    },
    count: (state, lane) =>
      lane === undefined ? shelves[state].all.size : (shelves[state].lanes.get(lane)?.length ?? 0),
    seqOf,
  }
}
