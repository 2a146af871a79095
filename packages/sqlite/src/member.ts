import type { Clock, Settled, Settlement, Subscription } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { claim } from './claiming.ts'
import type { Delivery } from './convert.ts'
import type { Hub } from './hub.ts'
import { type Leases, leasesOf } from './leases.ts'
import { isDelivery, settle } from './settling.ts'
import type { Sql } from './sql.ts'
import { type Group, nameOf } from './topology.ts'

/** One member of a group: what it has in hand, and how it gets and settles more. */
export interface Member {
  readonly group: Group
  readonly hub: Hub
  readonly clock: Clock
  readonly leaseMs: number
  readonly window: number
  readonly subscription: Subscription
  readonly hands: Set<Delivery>
  readonly leases: Leases
  /** Taken, but its receive was aborted meanwhile. */
  kept: Delivery[]
  /** As of the last claim; a seek of any member raises it. */
  epoch: number | undefined
  over: boolean
  /** Something may have changed since this was set to false. */
  dirty: boolean
  /** Until when (epoch ms) its receive sleeps unless it is called; undefined: for ever. */
  until: number | undefined | 'awake'
  /** Wakes the receive that waits. */
  rouse: (() => void) | undefined
  /** Notes that something may have changed, and wakes who waits for it. */
  call(): void
  /** Whether it reads this topic. */
  touches(topic: number): boolean
}

/** A member that holds nothing yet. */
export function memberOf(
  { hub, clock, leaseMs }: Pick<Member, 'hub' | 'clock' | 'leaseMs'>,
  subscription: Subscription,
  group: Group,
): Member {
  const hands = new Set<Delivery>()
  const call = (): void => {
    member.dirty = true
    member.rouse?.()
  }
  const member: Member = {
    group,
    hub,
    clock,
    leaseMs,
    window: Math.max(1, subscription.window),
    subscription,
    hands,
    leases: leasesOf(clock, hands, call),
    kept: [],
    epoch: undefined,
    over: false,
    dirty: false,
    until: 'awake',
    rouse: undefined,
    call,
    touches: (topic) => group.topic === undefined || group.topic === topic,
  }
  return member
}

/** Takes what there is for it, within its window; nothing once it is over or aborted. */
export function take(member: Member, max: number, signal: AbortSignal): Promise<readonly Delivery[]> {
  const { hub, clock, group, hands, window, subscription } = member
  return hub.writer.write(
    (work) => {
      const room = Math.min(max, window - hands.size)
      if (member.over || signal.aborted || room <= 0) return []
      const now = clock.now()
      const found = claim(work, hub, {
        group,
        room,
        laneRoom: Math.max(1, window >> 1),
        now,
        until: now + member.leaseMs,
        topicName: (sql, topic) => topicName(subscription.source, sql, topic),
      })
      if (found.gone)
        throw new MessagingError(
          'unavailable',
          `the group ${group.name} of ${nameOf(subscription.source)} is gone from ${hub.path}`,
        )
      work.after(() => {
        // Somebody moved the group: what was in hand before is no longer ours.
        if (member.epoch !== undefined && member.epoch !== found.epoch) loseAll(member)
        member.epoch = found.epoch
        for (const each of found.deliveries) hands.add(each)
        member.leases.watch()
      })
      return found.deliveries
    },
    { sync: false },
  )
}

function topicName(source: Subscription['source'], sql: Sql, topic: number): string {
  if (!('pattern' in source)) return source.name
  return sql.row('SELECT name FROM posthorn_topic WHERE id = ?', topic)?.['name'] as string
}

/** Nothing that it holds is its own any more. */
export function loseAll(member: Member): void {
  for (const { lease } of member.hands) lease?.lose()
  member.hands.clear()
  member.kept = []
}

/** These are settled: there is room for others. */
export function drop(member: Member, batch: readonly Settlement[]): void {
  for (const { token } of batch) member.hands.delete(token as Delivery)
  member.call()
}

/** Answers for each token: for those that are none of ours at once, for the others by `ask`. */
export async function answered<T extends { readonly token: unknown }>(
  member: Member,
  batch: readonly T[],
  ask: (mine: readonly T[]) => Promise<readonly Settled[]>,
): Promise<readonly Settled[]> {
  const mine = member.over ? [] : batch.filter(({ token }) => isDelivery(token))
  if (mine.length === 0) return batch.map(() => 'stale')
  const answers = await ask(mine)
  if (mine.length === batch.length) return answers
  let next = 0
  return batch.map(({ token }) => (isDelivery(token) ? (answers[next++] as Settled) : 'stale'))
}

/** Settles what it holds; what could not be written down is `unknown` and comes again when its lease ends. */
export function settleAll(member: Member, batch: readonly Settlement[]): Promise<readonly Settled[]> {
  const { hub, group, hands, clock } = member
  return answered(member, batch, async (mine) => {
    for (const { token } of mine as readonly { readonly token: Delivery }[]) {
      token.sure = !token.settling && hands.has(token)
      token.settling = true
    }
    const answers = await hub.writer
      .write((work) => settle(work, hub, group.id, mine, clock.now(), true), { sync: false })
      .catch(() => mine.map((): Settled => 'unknown'))
    drop(member, mine)
    return answers
  })
}
