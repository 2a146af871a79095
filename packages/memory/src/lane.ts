import type { Failure } from '@posthorn/core/driver'
import type { Member } from './group.ts'
import type { Handed } from './handed.ts'
import { Ring } from './ring.ts'
import type { Entry } from './topic.ts'

/** A message as one group has it. */
export interface Item {
  readonly entry: Entry
  readonly lane: Lane | undefined
  failures: number
  history: readonly Failure[]
  lone: number
  /** Starts; one that was handed back does not count. */
  deliveries: number
  /** Hand-overs, whether they count or not. */
  hands: number
  /** Epoch ms before which the group does not get it again. */
  notBefore: number
  /** The delivery that holds it now. */
  hand: Handed | undefined
}

/** The messages of one key in one group: in the hands of one member at a time. */
export interface Lane {
  readonly key: string
  readonly queue: Ring<Item>
  /** Deliveries of this key that are not settled, all with `owner`. */
  readonly hands: Handed[]
  owner: Member | undefined
  fence: bigint
  /** Where the lane waits for its turn; an entry in any other ring is a left-over. */
  listed: Ring<Lane> | undefined
  /** Whether its owner has enough of it in hand for now. */
  full: boolean
  /** Whether a timer waits for its head to be due. */
  timed: boolean
}

/** Makes a lane with nothing in it. */
export function emptyLane(key: string): Lane {
  return {
    key,
    queue: new Ring(),
    hands: [],
    owner: undefined,
    fence: 0n,
    listed: undefined,
    full: false,
    timed: false,
  }
}

/** The first lane of a ring that really waits there. */
export function firstLane(ring: Ring<Lane>): Lane | undefined {
  for (let lane = ring.peek(); lane !== undefined; lane = ring.peek()) {
    if (lane.listed === ring) return lane
    ring.shift()
  }
  return undefined
}
