import type { Arrival, Dispatch, Settled, Settlement, Source, Subscription } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { aborted, closed, takenBack } from './errors.ts'
import { admit, clear, finish, type Group, type Member, putBack, rouse, take, takeBack } from './group.ts'
import { Handed } from './handed.ts'
import { endGroup, heldFrom, type Space, topicsOf } from './log.ts'
import { Ring } from './ring.ts'
import { addReplyAddress, coverOf, dropGroup, joinGroup, nameOf } from './topology.ts'

/** What a source needs of the driver that opened it. */
export interface SourceHost {
  readonly space: Space
  readonly leaseMs: number
  /** Checks and places messages, all or none. */
  place(messages: readonly Dispatch[]): readonly MessagingError[]
  /** The source has ended. */
  ended(source: Source): void
}

/** A member of a group: shared, broadcast, or the one reader of a reply address. */
export function openSource(host: SourceHost, subscription: Subscription): Source {
  const { space } = host
  const { source, mode, report } = subscription
  if (mode === 'reply') addReplyAddress(space, nameOf(source))
  const group = refusing(report, source, () => joinGroup(space, { ...subscription, name: subscription.group }))
  const member: Member = {
    group,
    window: Math.max(1, subscription.window),
    leaseMs: host.leaseMs,
    hands: new Set(),
    own: new Ring(),
    wake: undefined,
  }
  group.members.add(member)
  const leases = watchLeases(member)
  let over = false
  const covers = coverOf(source)

  const self: Source = {
    receive(max, signal) {
      if (over) return Promise.reject(closed(`the source of ${nameOf(source)}`))
      if (signal.aborted) return Promise.resolve([])
      space.log.activity++
      const there = take(member, max)
      if (there.length === 0) return wait(member, max, signal, leases.watch)
      leases.watch()
      return Promise.resolve(there)
    },
    settle(batch) {
      space.log.activity++
      const answers = batch.map((settlement) => settleOne(member, settlement))
      rouse(group)
      return Promise.resolve(answers)
    },
    async extend(tokens) {
      return tokens.map((token): Settled => {
        if (!holds(member, token)) return 'stale'
        token.leasedUntil = group.clock.now() + member.leaseMs
        // The set is in order of expiry.
        member.hands.delete(token)
        member.hands.add(token)
        return 'ok'
      })
    },
    async mark(token) {
      if (!holds(member, token)) return 'stale'
      if (token.item !== undefined) token.item.lone = token.lone + 1
      return 'ok'
    },
    async unmark(token) {
      if (!holds(member, token)) return 'stale'
      if (token.item !== undefined) token.item.lone = token.lone
      return 'ok'
    },
    async seek(to) {
      const topics = topicsOf(space, source, covers)
      const entries = refusing(report, source, () => heldFrom(topics, to))
      clear(group)
      for (const entry of entries) admit(group, entry)
      rouse(group)
    },
    async atomic(sends, settlements, signal) {
      if (signal.aborted) throw aborted('the atomic send and settlement')
      for (const { token } of settlements)
        if (!holds(member, token))
          throw new MessagingError('stale', 'a delivery of the atomic settlement is no longer ours; nothing was done')
      const [error] = host.place(sends)
      if (error !== undefined) throw error
      for (const settlement of settlements) settleOne(member, settlement)
      rouse(group)
    },
    async close() {
      if (over) return
      over = true
      leases.stop()
      member.wake?.(0)
      for (const handed of [...member.hands].reverse()) handBack(handed)
      group.members.delete(member)
      if (mode !== 'shared') {
        dropGroup(space, source, group)
        endGroup(group, space.topics.values())
        if (mode === 'reply') space.topics.delete(nameOf(source))
      }
      rouse(group)
      host.ended(self)
    },
  }
  return self
}

/** Runs what may find that a position is lost, and says so before it refuses. */
export function refusing<R>(report: Subscription['report'], source: Subscription['source'], work: () => R): R {
  try {
    return work()
  } catch (error) {
    if (error instanceof MessagingError && error.code === 'stale') {
      const position = /position (\S+);/.exec(error.message)?.[1] ?? ''
      report({ event: 'position-lost', topic: nameOf(source), position })
    }
    throw error
  }
}

function settleOne(member: Member, settlement: Settlement): Settled {
  const { token } = settlement
  if (!holds(member, token)) return 'stale'
  if (settlement.verdict === 'ack') {
    finish(token)
    return 'ok'
  }
  const { failures, history, afterMs } = settlement
  const { item } = token
  // What is handed back has ended, however it did: only a start alone that never does counts.
  if (item !== undefined) item.lone = token.lone
  if (failures === undefined) handBack(token, afterMs)
  else {
    if (item !== undefined) {
      item.failures = failures
      if (history !== undefined) item.history = history
    }
    putBack(token, member.group.clock.now() + (afterMs ?? 0), 'back')
  }
  // What its member holds of the key behind it must not overtake it, also what is still on its way to the handler.
  for (const later of item?.lane?.hands.slice().reverse() ?? []) {
    if (later.item === undefined || later.item.entry.seq < (item?.entry.seq ?? 0)) continue
    later.lost.lose(takenBack(later.id))
    handBack(later)
  }
  return 'ok'
}

function handBack(handed: Handed, afterMs = 0): void {
  if (handed.item !== undefined) handed.item.deliveries--
  putBack(handed, (handed.member as Member).group.clock.now() + afterMs, 'front')
}

function holds(member: Member, token: unknown): token is Handed {
  return token instanceof Handed && token.member === member && token.item?.hand === token
}

/** Waits until the group has something; an abort takes nothing. */
function wait(member: Member, max: number, signal: AbortSignal, taken: () => void): Promise<readonly Arrival[]> {
  const { waiting }: Group = member.group
  return new Promise((resolve, reject) => {
    const end = (): void => {
      waiting.delete(member)
      member.wake = undefined
      signal.removeEventListener('abort', stop)
    }
    const stop = (): void => {
      end()
      resolve([])
    }
    member.wake = (share) => {
      if (share === 0) {
        end()
        reject(closed('the source'))
        return
      }
      const got = take(member, Math.min(max, share))
      if (got.length === 0) return
      end()
      taken()
      resolve(got)
    }
    waiting.add(member)
    signal.addEventListener('abort', stop, { once: true })
  })
}

/** One timer for all leases of a member: each is as long as the other, so the oldest ends first. */
function watchLeases(member: Member): { watch(): void; stop(): void } {
  const { clock } = member.group
  let cancel: (() => void) | undefined
  const arm = (until: number): void => {
    cancel = clock.after(until - clock.now(), expire, { unref: true })
  }
  const expire = (): void => {
    cancel = undefined
    const now = clock.now()
    for (const handed of member.hands) {
      if (handed.leasedUntil > now) {
        arm(handed.leasedUntil)
        break
      }
      takeBack(handed)
    }
    rouse(member.group)
  }
  return {
    watch() {
      const [first] = cancel === undefined ? member.hands : []
      if (first !== undefined) arm(first.leasedUntil)
    },
    stop: () => cancel?.(),
  }
}
