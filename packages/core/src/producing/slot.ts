// One message on its way out, and the lists in which it waits.
import type { Dispatch } from '../driver/envelope.ts'
import type { SendResult } from '../driver/seam.ts'
import type { MessagingError } from '../errors.ts'
import type { Chain } from './deadlines.ts'
import type { Flight } from './flight.ts'
import type { Epoch } from './flushing.ts'
import type { Lane } from './lanes.ts'

/** What can stand in a list: a slot, or the mark of an atomic flight that waits for a lane. In one list at a time. */
export interface Node {
  prev: Node | undefined
  next: Node | undefined
  list: List | undefined
}

/** A list linked through its nodes: out of the middle at no cost, so that what is aborted or too late leaves nothing behind. */
export interface List {
  head: Node | undefined
  tail: Node | undefined
  /** Called when a node was taken out of the middle or by `remove`. */
  readonly left: (() => void) | undefined
}

/** Makes an empty list. */
export function listOf(left?: () => void): List {
  return { head: undefined, tail: undefined, left }
}

/** Puts a node last. */
export function push(list: List, node: Node): void {
  const { tail } = list
  node.list = list
  node.prev = tail
  if (tail === undefined) list.head = node
  else tail.next = node
  list.tail = node
}

/** Takes the first node out. */
export function shift(list: List): Node | undefined {
  const { head } = list
  if (head !== undefined) unlink(list, head)
  return head
}

/** Takes a node out of whatever list it is in. */
export function remove(node: Node): void {
  const { list } = node
  if (list === undefined) return
  unlink(list, node)
  list.left?.()
}

function unlink(list: List, node: Node): void {
  const { prev, next } = node
  if (prev === undefined) list.head = next
  else prev.next = next
  if (next === undefined) list.tail = prev
  else next.prev = prev
  node.prev = undefined
  node.next = undefined
  node.list = undefined
}

/** Who sends: its bound, and what becomes of its slots. One per producer. */
export interface Owner {
  readonly timeoutMs: number
  readonly lingerMs: number
  /** Most messages admitted and not settled. */
  readonly buffer: number
  admitted: number
  /** Slots that wait for room in the buffer. */
  readonly outside: List
  /** Takes a slot that must not go out directly (its key lies in the spool); false: it may. */
  readonly divert: ((slot: Slot) => boolean) | undefined
  /** Called once per slot, when its fate is known: no error means that the broker has it. */
  readonly settled: (slot: Slot, error: MessagingError | undefined) => void
}

/**
 * A message, or the messages of an atomic batch, from the call of `send` to its answer. Made in one place with all its fields, so that the
 * hot path meets one shape.
 */
export interface Slot extends Node {
  readonly owner: Owner
  /** The (first) message; undefined while its codec works. */
  message: Dispatch | undefined
  /** All messages, if they go together or not at all. */
  readonly group: readonly Dispatch[] | undefined
  /** What it counts against the buffer. */
  readonly weight: number
  /** Epoch ms after which it is settled, whatever happens. */
  readonly deadline: number
  readonly topic: string
  readonly id: string
  /** How the caller learns; no closure of ours besides the promise's own. */
  resolve: (value: never) => void
  reject: (error: MessagingError) => void
  /** Where the broker put it; of an atomic batch, all of them. */
  position: string | undefined
  results: readonly SendResult[] | undefined
  settled: boolean
  admitted: boolean
  /** A try may have reached the broker although nobody said so. */
  unknown: boolean
  /** What the last try ended with. */
  last: MessagingError | undefined
  flight: Flight | undefined
  lane: Lane | undefined
  /** What `flush()` counts. */
  epoch: Epoch | undefined
  /** Forgets the caller's signal. */
  unlisten: (() => void) | undefined
  /** Neighbours by deadline. */
  sooner: Slot | undefined
  later: Slot | undefined
  chain: Chain | undefined
}

const nobody = (): void => {}

/** Makes a slot that nobody waits for yet. */
export function slotOf(
  owner: Owner,
  topic: string,
  id: string,
  deadline: number,
  message: Dispatch | undefined,
  group: readonly Dispatch[] | undefined,
): Slot {
  return {
    prev: undefined,
    next: undefined,
    list: undefined,
    owner,
    message,
    group,
    weight: group === undefined ? 1 : group.length,
    deadline,
    topic,
    id,
    resolve: nobody,
    reject: nobody,
    position: undefined,
    results: undefined,
    settled: false,
    admitted: false,
    unknown: false,
    last: undefined,
    flight: undefined,
    lane: undefined,
    epoch: undefined,
    unlisten: undefined,
    sooner: undefined,
    later: undefined,
    chain: undefined,
  }
}
