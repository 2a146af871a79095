import { type AloneGate, aloneGate } from './alone.ts'

/** What the lanes move: a name of the lane it must keep its place in, and whether nothing else may run beside it. */
export interface LaneItem {
  readonly lane: string | undefined
  readonly alone: boolean
}

/** One of a lane at a time, many lanes at once, at most `concurrency` in all. */
export interface Lanes<T extends LaneItem> {
  add(item: T): void
  /** The item has ended: its lane goes on. */
  done(item: T): void
  /** The item waits outside and will be added again by `resume`: its slot is free, its lane stays its own. */
  suspend(item: T): void
  resume(item: T): void
  /** A suspended item will not come back: its lane goes on. */
  release(item: T): void
  /** Takes out what has not started, oldest first. */
  clear(): T[]
  /** The same of one lane, behind the item that runs in it. */
  clearLane(lane: string): T[]
  readonly running: number
  readonly waiting: number
}

interface Lane<T> {
  /** Ready, running or suspended; the others of the lane wait behind it. */
  head: T
  readonly queue: T[]
}

/** Makes lanes; `start` is called once per item and must end in `done`, or in `suspend`. */
export function lanes<T extends LaneItem>(
  concurrency: number,
  start: (item: T) => void,
  gate: AloneGate = aloneGate(),
): Lanes<T> {
  const busy = new Map<string, Lane<T>>()
  let ready: T[] = []
  let head = 0
  let running = 0
  let waiting = 0
  let alone = false
  let pumping = false

  const pump = (): void => {
    if (pumping) return
    pumping = true
    while (!alone && running < concurrency && head < ready.length) {
      const item = ready[head] as T
      if (item.alone) {
        if (running > 0 || !gate.enter(pump)) break
        alone = true
      }
      head++
      running++
      waiting--
      start(item)
    }
    if (head === ready.length) {
      ready = []
      head = 0
    } else if (head > 1_024) {
      ready = ready.slice(head)
      head = 0
    }
    pumping = false
  }
  const leave = (item: T): void => {
    running--
    if (!item.alone) return
    alone = false
    gate.leave()
  }
  /** The next of an item's lane is ready. */
  const goOn = (item: T): void => {
    if (item.lane === undefined) return
    const lane = busy.get(item.lane)
    const next = lane?.queue.shift()
    if (lane === undefined || next === undefined) busy.delete(item.lane)
    else {
      lane.head = next
      ready.push(next)
    }
  }
  return {
    add(item) {
      waiting++
      if (item.lane !== undefined) {
        const lane = busy.get(item.lane)
        if (lane !== undefined) {
          lane.queue.push(item)
          return
        }
        busy.set(item.lane, { head: item, queue: [] })
      }
      ready.push(item)
      pump()
    },
    done(item) {
      leave(item)
      goOn(item)
      pump()
    },
    suspend(item) {
      leave(item)
      pump()
    },
    resume(item) {
      waiting++
      ready.push(item)
      pump()
    },
    release(item) {
      goOn(item)
      pump()
    },
    clear() {
      const out = ready.slice(head)
      ready = []
      head = 0
      const free = new Set(out)
      for (const [name, lane] of busy) {
        out.push(...lane.queue.splice(0))
        if (free.has(lane.head)) busy.delete(name)
      }
      waiting -= out.length
      return out
    },
    clearLane(lane) {
      const out = busy.get(lane)?.queue.splice(0) ?? []
      waiting -= out.length
      return out
    },
    get running() {
      return running
    },
    get waiting() {
      return waiting
    },
  }
}
