import type { Ordering } from '@posthorn/core'
import type { Clock, Dispatch } from '@posthorn/core/driver'
import { takenBack } from './errors.ts'
import { Handed } from './handed.ts'
import { emptyLane, firstLane, type Item, type Lane } from './lane.ts'
import { Ring } from './ring.ts'
import { type Entry, trim } from './topic.ts'

/** A group of one topic or pattern: what it has not settled, and who may get it. */
export interface Group {
  readonly name: string
  readonly order: Ordering
  readonly filter: string | undefined
  readonly matches: (message: Dispatch) => boolean
  readonly clock: Clock
  readonly unsettled: Set<Item>
  /** Without a lane, by priority: the highest that holds something goes first. */
  readonly ready: Ring<Item>[]
  /** Lanes that nobody owns and whose head is due. */
  readonly runnable: Ring<Lane>
  readonly lanes: Map<string, Lane>
  /** Members whose `receive` waits, who waited longest first. */
  readonly waiting: Set<Member>
  readonly members: Set<Member>
  fence: bigint
  /** After its end timers of its messages do nothing. */
  ended: boolean
}

/** One source in a group. */
export interface Member {
  readonly group: Group
  readonly window: number
  readonly leaseMs: number
  readonly hands: Set<Handed>
  /** Lanes that it owns and that hold more for it. */
  readonly own: Ring<Lane>
  /** Resolves the waiting `receive` with at most so many. */
  wake: ((share: number) => void) | undefined
}

/** Makes a group that has seen nothing. */
export function emptyGroup(
  name: string,
  order: Ordering,
  filter: string | undefined,
  matches: (message: Dispatch) => boolean,
  clock: Clock,
): Group {
  return {
    name,
    order,
    filter,
    matches,
    clock,
    unsettled: new Set(),
    ready: [new Ring()],
    runnable: new Ring(),
    lanes: new Map(),
    waiting: new Set(),
    members: new Set(),
    fence: 0n,
    ended: false,
  }
}

/** Gives the group a message of its topic, if it is for this group. */
export function admit(group: Group, entry: Entry): void {
  const { message } = entry
  if (message.group !== undefined && message.group !== group.name) return
  if (!group.matches(message)) return
  const item: Item = {
    entry,
    lane: laneOf(group, message),
    failures: message.failures,
    history: message.history,
    lone: message.lone,
    deliveries: 0,
    hands: 0,
    notBefore: 0,
    hand: undefined,
  }
  entry.open++
  group.unsettled.add(item)
  if (item.lane === undefined) readyOf(group, item).push(item)
  else {
    item.lane.queue.push(item)
    list(group, item.lane)
  }
}

/** Hands out what may go to this member now, oldest first, within its window. */
export function take(member: Member, max: number): Handed[] {
  const { group } = member
  const out: Handed[] = []
  const room = Math.min(max, member.window - member.hands.size)
  const leasedUntil = group.clock.now() + member.leaseMs
  while (out.length < room) {
    const item = next(member)
    if (item === undefined) break
    item.deliveries++
    item.hands++
    const handed = new Handed(item.entry, item, member, leasedUntil)
    item.hand = handed
    member.hands.add(handed)
    const { lane } = item
    if (lane !== undefined) {
      lane.hands.push(handed)
      list(group, lane)
    }
    out.push(handed)
  }
  return out
}

/** Ends a delivery for good. */
export function finish(handed: Handed): void {
  const { member, item } = release(handed)
  const { lane } = item
  if (lane !== undefined) {
    if (lane.queue.length > 0) list(member.group, lane)
    else if (lane.hands.length === 0) member.group.lanes.delete(lane.key)
  }
  member.group.unsettled.delete(item)
  if (--item.entry.open === 0) trim(item.entry.topic, member.group.clock)
}

/** Takes a message out of its member's hands and puts it where the group gives it out again. */
export function putBack(handed: Handed, notBefore: number, to: 'front' | 'back'): void {
  const { member, item } = release(handed)
  const { group } = member
  item.notBefore = notBefore
  const { lane } = item
  if (lane !== undefined) {
    lane.queue.insert(item, (other) => other.entry.seq > item.entry.seq)
    // Its head is another now, and may have to wait.
    lane.listed = undefined
    list(group, lane)
  } else if (notBefore > group.clock.now()) {
    group.clock.after(
      notBefore - group.clock.now(),
      () => {
        if (group.ended || !group.unsettled.has(item)) return
        readyOf(group, item).push(item)
        rouse(group)
      },
      { unref: true },
    )
  } else if (to === 'front') readyOf(group, item).unshift(item)
  else readyOf(group, item).push(item)
}

/** Takes a delivery back because its lease ended; with it all that its member has of the same key, so that order holds. */
export function takeBack(handed: Handed): void {
  for (const each of handed.item?.lane?.hands.slice() ?? [handed]) {
    each.lost.lose(takenBack(each.id))
    putBack(each, 0, 'front')
  }
}

/** Wakes the members that wait, each with its share, as long as there is something for them. */
export function rouse(group: Group): void {
  for (const member of group.waiting) {
    let there = group.runnable.length + member.own.length
    for (const ring of group.ready) there += ring.length
    if (there === 0) continue
    member.wake?.(group.waiting.size === 1 ? Number.POSITIVE_INFINITY : Math.ceil(there / group.waiting.size))
  }
}

/** Forgets everything unsettled: on seek, and at the group's end. */
export function clear(group: Group): void {
  for (const member of group.members) {
    for (const handed of member.hands) {
      handed.lost.lose(takenBack(handed.id))
      release(handed)
    }
  }
  for (const item of group.unsettled) {
    if (--item.entry.open === 0) trim(item.entry.topic, group.clock)
  }
  group.unsettled.clear()
  for (const ring of group.ready) ring.retain(() => false)
  for (const lane of group.lanes.values()) lane.listed = undefined
  group.runnable.retain(() => false)
  group.lanes.clear()
}

function laneOf(group: Group, { topic, key }: Dispatch): Lane | undefined {
  if (group.order === 'none' || (key === undefined && group.order === 'key')) return undefined
  // Of a pattern the same key in two topics is two keys.
  const name = group.order === 'topic' ? topic : `${topic}\n${key}`
  let lane = group.lanes.get(name)
  if (lane === undefined) {
    lane = emptyLane(name)
    // A number for the whole group, so that it rises for a key whose lane was forgotten.
    lane.fence = group.fence
    group.lanes.set(name, lane)
  }
  return lane
}

function readyOf(group: Group, item: Item): Ring<Item> {
  const priority = item.entry.message.priority ?? 0
  while (group.ready.length <= priority) group.ready.push(new Ring())
  return group.ready[priority] as Ring<Item>
}

function next(member: Member): Item | undefined {
  const { group } = member
  const mine = firstLane(member.own)
  const free = firstLane(group.runnable)
  const lane = mine === undefined || (free !== undefined && age(free) < age(mine)) ? free : mine
  let ring: Ring<Item> | undefined
  for (let i = group.ready.length - 1; i >= 0; i--) {
    ring = group.ready[i]
    if (ring !== undefined && ring.length > 0) break
  }
  const unlaned = ring?.peek()
  if (lane === undefined || (unlaned !== undefined && unlaned.entry.seq < age(lane))) return ring?.shift()
  lane.listed?.shift()
  lane.listed = undefined
  if (lane.owner !== member) {
    lane.owner = member
    lane.fence = ++group.fence
  }
  return lane.queue.shift()
}

function age(lane: Lane): number {
  return lane.queue.peek()?.entry.seq ?? 0
}

/** Puts a lane where it can be taken from, if it can. */
function list(group: Group, lane: Lane): void {
  const head = lane.queue.peek()
  if (lane.listed !== undefined || head === undefined) return
  const waitMs = head.notBefore === 0 ? 0 : head.notBefore - group.clock.now()
  if (waitMs > 0) {
    if (lane.timed) return
    lane.timed = true
    const due = (): void => {
      lane.timed = false
      if (group.ended) return
      list(group, lane)
      rouse(group)
    }
    group.clock.after(waitMs, due, { unref: true })
    return
  }
  const { owner } = lane
  // One hot key must not fill a member's whole window; and it comes in batches again, not one by one as each is settled.
  lane.full = owner !== undefined && lane.hands.length >= Math.max(1, owner.window >> (lane.full ? 2 : 1))
  if (lane.full) return
  lane.listed = owner === undefined ? group.runnable : owner.own
  lane.listed.push(lane)
}

function release(handed: Handed): { readonly member: Member; readonly item: Item } {
  const member = handed.member as Member
  const item = handed.item as Item
  member.hands.delete(handed)
  item.hand = undefined
  const { lane } = item
  if (lane !== undefined) {
    if (lane.hands[0] === handed) lane.hands.shift()
    else lane.hands.splice(lane.hands.indexOf(handed), 1)
    if (lane.hands.length === 0) {
      lane.owner = undefined
      lane.listed = undefined
    }
  }
  return { member, item }
}
