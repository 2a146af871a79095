// Rule 2: per topic and key nothing goes out in a later batch while an earlier message of that key is unresolved.
import type { Flight } from './flight.ts'
import { type List, type Node, push, remove } from './slot.ts'

/** A key in use, with what waits for it. Gone when nothing of it is under way or waits. */
export interface Lane extends List {
  readonly key: string
  readonly home: Map<string, Lane>
  /** The flight that has messages of this key; undefined: the next one that is made begins with what waits here. */
  owner: Flight | undefined
  /** How many of the owner's messages are of this key and unresolved. */
  held: number
}

/** Keeps the place of an atomic flight in a lane. */
export interface Mark extends Node {
  readonly mark: Flight
  readonly lane: Lane
}

/** Whether a node of a lane is the mark of an atomic flight. */
export function isMark(node: Node): node is Mark {
  return 'mark' in node
}

/** The lanes of one batcher. */
export interface Lanes {
  find(topic: string, key: string): Lane | undefined
  /** A new lane that this flight owns. */
  open(topic: string, key: string, owner: Flight): Lane
  /** One message of the owner is resolved. */
  leave(lane: Lane): void
  /** Forgets a lane in which nothing is left. */
  drop(lane: Lane): void
  /** Stands in line behind what is in the lane. */
  wait(lane: Lane, flight: Flight): void
  /** Takes an atomic flight out of the line again. */
  unwait(flight: Flight): void
  /** Lanes without an owner in which something waits, longest free first. */
  readonly free: Set<Lane>
}

/** Makes an empty book of lanes. */
export function lanes(): Lanes {
  const topics = new Map<string, Map<string, Lane>>()
  const free = new Set<Lane>()
  // Most sends are to the topic of the one before.
  let lastTopic: string | undefined
  let last = new Map<string, Lane>()

  function home(topic: string): Map<string, Lane> {
    if (topic === lastTopic) return last
    let found = topics.get(topic)
    if (found === undefined) {
      found = new Map()
      topics.set(topic, found)
    }
    lastTopic = topic
    last = found
    return found
  }

  return {
    free,
    find: (topic, key) => home(topic).get(key),
    open(topic, key, owner) {
      const own = home(topic)
      const lane: Lane = { key, home: own, owner, held: 1, head: undefined, tail: undefined, left: undefined }
      own.set(key, lane)
      return lane
    },
    leave(lane) {
      if (--lane.held > 0) return
      lane.owner = undefined
      if (lane.head === undefined) lane.home.delete(lane.key)
      else free.add(lane)
    },
    drop(lane) {
      free.delete(lane)
      lane.home.delete(lane.key)
    },
    wait(lane, flight) {
      const mark: Mark = { mark: flight, lane, prev: undefined, next: undefined, list: undefined }
      flight.marks.push(mark)
      push(lane, mark)
    },
    unwait(flight) {
      for (const mark of flight.marks) remove(mark)
      flight.marks.length = 0
    },
  }
}
