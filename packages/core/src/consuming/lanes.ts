import type { AloneGate } from './alone.ts'
import { inOrder, type Ready } from './ready.ts'

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
  running(): number
  waiting(): number
}

interface Lane<T> {
  /** Ready, running or suspended; the others of the lane wait behind it. */
  head: T
  readonly queue: T[]
}

/** Makes lanes; `start` is called once per item and must end in `done`, or in `suspend`. What may start does so as `ready` has it. */
export function lanes<T extends LaneItem>(
  concurrency: number,
  start: (item: T) => void,
  gate: AloneGate,
  ready: Ready<T> = inOrder(),
): Lanes<T> {
  const busy = new Map<string, Lane<T>>()
  let running = 0
  let alone = false
  let pumping = false

  const pump = (): void => {
    if (pumping) return
    pumping = true
    while (!alone && running < concurrency) {
      const item = ready.next()
      if (item === undefined) break
      if (item.alone) {
        if (running > 0 || !gate.enter(pump)) break
        alone = true
      } else {
        if (gate.shut(pump)) break
        gate.beside++
      }
      ready.drop()
      running++
      start(item)
    }
    pumping = false
  }
  const leave = (item: T): void => {
    running--
    if (item.alone) {
      alone = false
      gate.leave()
    } else gate.ended()
  }
  /** The next of an item's lane is ready. */
  const goOn = (item: T): void => {
    if (item.lane === undefined) return
    const lane = busy.get(item.lane)
    const next = lane?.queue.shift()
    if (lane === undefined || next === undefined) busy.delete(item.lane)
    else {
      lane.head = next
      ready.add(next)
    }
  }
  return {
    add(item) {
      if (item.lane !== undefined) {
        const lane = busy.get(item.lane)
        if (lane !== undefined) {
          lane.queue.push(item)
          return
        }
        busy.set(item.lane, { head: item, queue: [] })
      }
      ready.add(item)
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
      ready.add(item)
      pump()
    },
    release(item) {
      goOn(item)
      pump()
    },
    clear() {
      const out = ready.clear()
      const free = new Set(out)
      for (const [name, lane] of busy) {
        out.push(...lane.queue.splice(0))
        if (free.has(lane.head)) busy.delete(name)
      }
      return out
    },
    clearLane(lane) {
      return busy.get(lane)?.queue.splice(0) ?? []
    },
    running: () => running,
    waiting() {
      let behind = 0
      for (const { queue } of busy.values()) behind += queue.length
      return ready.size() + behind
    },
  }
}
