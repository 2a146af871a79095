import type { Clock, Dispatch, From, Settlement, Source, Subscription } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { aborted } from './errors.ts'
import type { Hub } from './hub.ts'
import { place, promote, promoteAll } from './log.ts'
import { answered, drop, loseAll, type Member, memberOf, settleAll } from './member.ts'
import { startOf } from './positions.ts'
import { receive } from './receiving.ts'
import { extend, isDelivery, mark, settle } from './settling.ts'
import { addTopic, findTopic } from './topic-rows.ts'
import { dropReply, endGroup, type Group, joinGroup, nameOf, topicsOf } from './topology.ts'
import { mustBeOutside } from './transaction.ts'

/** What a source needs of the driver that opened it. */
export interface SourceHost {
  readonly hub: Hub
  readonly namespace: string
  readonly clock: Clock
  readonly leaseMs: number
  readonly maxBytes: number
  /** The source has ended. */
  ended(source: Source): void
  /** A group that lives only while this process says so. */
  keepAlive(group: number): () => void
}

/** How long a broadcast group or reply address outlives its process's last sign. */
export const aliveMs = 120_000

/** Opens a member of a group: shared, broadcast, or the one reader of a reply address. */
export async function openSource(host: SourceHost, subscription: Subscription): Promise<Source> {
  const { hub, namespace, clock } = host
  const { source, mode, order, filter, from, report } = subscription
  mustBeOutside(hub.path, 'who begins to consume, or to wait for replies,')
  const lasting = mode === 'shared'
  const wish = { source, name: subscription.group, order, filter, from }
  // What is due before the group begins does not count as sent after it.
  await promoteAll(hub, clock.now())
  const group = await refusing(report, source, () =>
    hub.writer.write((work) => {
      if (mode === 'reply' && findTopic(work.sql, namespace, nameOf(source)) === undefined)
        addTopic(work.sql, namespace, nameOf(source), undefined)
      promote(work, hub, clock.now())
      return joinGroup(work.sql, namespace, { ...wish, alive: lasting ? undefined : clock.now() + aliveMs }, hub.path)
    }),
  )
  return sourceOf(host, subscription, group)
}

/** Runs what may find that a position is lost, and says so before it refuses. */
export async function refusing<R>(
  report: Subscription['report'],
  source: Subscription['source'],
  work: () => Promise<R>,
): Promise<R> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MessagingError && error.code === 'stale') {
      const position = /position (\S+);/.exec(error.message)?.[1] ?? ''
      report({ event: 'position-lost', topic: nameOf(source), position })
    }
    throw error
  }
}

function sourceOf(host: SourceHost, subscription: Subscription, group: Group): Source {
  const { hub } = host
  const member = memberOf(host, subscription, group)
  const stopBeating = subscription.mode === 'shared' ? () => {} : host.keepAlive(group.id)
  const marked = async (token: unknown, starts: boolean) => {
    if (member.over || !isDelivery(token)) return 'stale'
    return hub.writer.write(({ sql }) => mark(sql, group.id, token, starts), { sync: false })
  }
  const self: Source = {
    receive: (max, signal) => receive(member, max, signal),
    settle: (batch) => settleAll(member, batch),
    extend: (tokens) => extendAll(member, tokens),
    mark: (token) => marked(token, true),
    unmark: (token) => marked(token, false),
    seek: (to) => seek(host, member, to),
    atomic: (sends, settlements, signal) => atomic(host, member, sends, settlements, signal),
    async close() {
      if (member.over) return
      member.over = true
      member.leases.stop()
      stopBeating()
      member.call()
      // What cannot be given back comes back when its lease ends.
      const late = new Promise((resolve) => member.clock.after(4_000, () => resolve(undefined), { unref: true }))
      await Promise.race([giveBack(host, member).catch(() => {}), late])
      member.hands.clear()
      host.ended(self)
    },
  }
  return self
}

function extendAll(member: Member, tokens: readonly unknown[]): ReturnType<NonNullable<Source['extend']>> {
  const { hub, group, clock, leaseMs } = member
  const batch = tokens.map((token) => ({ token }))
  return answered(member, batch, async (mine) => {
    const until = clock.now() + leaseMs
    const deliveries = mine.map(({ token }) => token).filter(isDelivery)
    const answers = await hub.writer.write(({ sql }) => extend(sql, group.id, deliveries, until), { sync: false })
    deliveries.forEach((each, n) => {
      if (answers[n] === 'ok') each.until = until
    })
    return answers
  })
}

/** Moves the whole group; what its members hold is theirs no more. */
async function seek({ hub, namespace, clock }: SourceHost, member: Member, to: From): Promise<void> {
  const { group, subscription } = member
  mustBeOutside(hub.path, 'a seek')
  await promoteAll(hub, clock.now())
  await refusing(subscription.report, subscription.source, () =>
    hub.writer.write((work) => {
      const { sql } = work
      promote(work, hub, clock.now())
      const topics = topicsOf(sql, namespace, subscription.source, hub.path)
      for (const topic of topics) {
        const start = startOf(sql, topic, to)
        sql.run('UPDATE posthorn_cursor SET at = ? WHERE grp = ? AND topic = ?', start, group.id, topic.id)
      }
      sql.run('DELETE FROM posthorn_delivery WHERE grp = ?', group.id)
      sql.run('DELETE FROM posthorn_claim WHERE grp = ?', group.id)
      sql.run('UPDATE posthorn_group SET epoch = epoch + 1, fence = fence + 1 WHERE id = ?', group.id)
      work.after(() => {
        loseAll(member)
        hub.wake.topics(topics.map(({ id }) => id))
      })
    }),
  )
}

async function atomic(
  host: SourceHost,
  member: Member,
  sends: readonly Dispatch[],
  settlements: readonly Settlement[],
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) throw aborted('the atomic send and settlement')
  const { hub, clock } = host
  await hub.writer.write((work) => {
    const now = clock.now()
    const ours = !member.over && settlements.every(({ token }) => isDelivery(token))
    if (!ours || settle(work, hub, member.group.id, settlements, now).some((answer) => answer !== 'ok'))
      throw new MessagingError('stale', 'a delivery of the atomic settlement is no longer ours; nothing was done')
    for (const result of place(work, host, sends, now)) if (!result.ok) throw result.error
    work.after(() => drop(member, settlements))
  })
}

/** At the end: hands back what is unsettled, and takes a group along that lives only with its member. */
function giveBack({ hub, namespace, clock }: SourceHost, { hands, group, subscription }: Member): Promise<void> {
  return hub.writer.write((work) => {
    // A start alone that has not ended by now counts as one that never does.
    for (const each of hands) each.marked = false
    const all = [...hands].map((token) => ({ token, verdict: 'nack' }) as const)
    if (all.length > 0) settle(work, hub, group.id, all, clock.now())
    if (subscription.mode === 'shared') return
    endGroup(work.sql, { id: group.id, ns: namespace, name: group.name })
    if (subscription.mode === 'reply') dropReply(work.sql, namespace, nameOf(subscription.source))
  })
}
