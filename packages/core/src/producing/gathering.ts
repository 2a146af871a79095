import type { Dispatch } from '../driver/envelope.ts'
import { type Flight, flightOf } from './flight.ts'
import { isMark, type Lane, type Lanes } from './lanes.ts'
import { type List, push, type Slot, shift } from './slot.ts'

/** A batch is closed at this many bytes of bodies: about what a broker takes in one request. */
const batchBytes = 1_048_576

/** What batches are made of, and by which rules. */
export interface GatheringPorts {
  readonly book: Lanes
  /** What is to go out, oldest first. */
  readonly ready: List
  /** Flights that may start: an atomic one that has all its lanes joins them. */
  readonly again: Flight[]
  readonly maxBatch: number
  /** No two messages of a key in one batch. */
  readonly oneEach: boolean
  /** One batch at a time orders everything by itself: lanes are needed only for what waits for another try. */
  readonly ordered: boolean
  /** Takes a slot away that must not go out directly. */
  readonly diverted: (slot: Slot) => boolean
}

/** Makes the next flight of what waits, as full as it can be; undefined where nothing may go out. */
export function gathering({
  book,
  ready,
  again,
  maxBatch,
  oneEach,
  ordered,
  diverted,
}: GatheringPorts): () => Flight | undefined {
  function gathered(): Flight | undefined {
    const messages: Dispatch[] = []
    const flight = flightOf([], messages, false)
    let bytes = 0
    const room = (slot: Slot): boolean =>
      flight.live === 0 || (flight.live < maxBatch && bytes + (slot.message as Dispatch).body.length <= batchBytes)
    const take = (slot: Slot): void => {
      const message = slot.message as Dispatch
      slot.flight = flight
      bytes += message.body.length
      flight.live++
      flight.slots.push(slot)
      messages.push(message)
    }
    for (const lane of book.free) {
      if (!emptied(lane, flight, room, take)) break
    }
    for (let slot = ready.head as Slot | undefined; slot !== undefined; slot = ready.head as Slot | undefined) {
      if (slot.group !== undefined) {
        if (flight.live > 0) break
        shift(ready)
        const atomic = joined(slot)
        if (atomic.state === 'ready') return atomic
        continue
      }
      if (!room(slot)) break
      shift(ready)
      if (diverted(slot)) continue
      const { key, letter } = slot.message as Dispatch
      // Dead letters have no order to keep, and whoever waits for one must not wait for a stranger's key.
      if (key === undefined || letter !== undefined || gate(slot, key, flight)) take(slot)
    }
    return flight.live > 0 ? flight : again.shift()
  }
  /** Whether this message of a key may join the flight; else it stands in its lane. */
  function gate(slot: Slot, key: string, flight: Flight): boolean {
    const lane = book.find(slot.topic, key)
    if (lane === undefined) {
      if (!ordered) slot.lane = book.open(slot.topic, key, flight)
      return true
    }
    if (lane.owner === flight && !oneEach && lane.head === undefined) {
      lane.held++
      slot.lane = lane
      return true
    }
    push(lane, slot)
    return false
  }
  /** Takes what waits in a free lane; false when the flight is full. */
  function emptied(lane: Lane, flight: Flight, room: (slot: Slot) => boolean, take: (slot: Slot) => void): boolean {
    for (let node = lane.head; node !== undefined; node = lane.head) {
      if (isMark(node)) {
        if (lane.owner !== undefined) return true
        shift(lane)
        own(lane, node.mark)
        return true
      }
      const slot = node as Slot
      if (!room(slot)) return false
      shift(lane)
      if (diverted(slot)) continue
      book.free.delete(lane)
      lane.owner = flight
      lane.held++
      slot.lane = lane
      take(slot)
      if (oneEach) return true
    }
    if (lane.owner === undefined) book.drop(lane)
    return true
  }
  /** An atomic flight takes the lanes that are free and stands in line for the others, all at once: two of them cannot wait for each other. */
  function joined(slot: Slot): Flight {
    const group = slot.group as readonly Dispatch[]
    const flight = flightOf([slot], group, true)
    flight.live = 1
    slot.flight = flight
    const seen = new Set<string>()
    for (const { topic, key } of group) {
      if (key === undefined || seen.has(key)) continue
      seen.add(key)
      const lane = book.find(topic, key)
      if (lane === undefined) flight.lanes.push(book.open(topic, key, flight))
      else book.wait(lane, flight)
    }
    if (flight.marks.length > 0) flight.state = 'lanes'
    return flight
  }
  function own(lane: Lane, flight: Flight): void {
    book.free.delete(lane)
    lane.owner = flight
    lane.held = 1
    flight.lanes.push(lane)
    flight.marks.splice(
      flight.marks.findIndex((mark) => mark.lane === lane),
      1,
    )
    if (flight.marks.length > 0) return
    flight.state = 'ready'
    again.push(flight)
  }
  return gathered
}
