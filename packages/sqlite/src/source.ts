import type { Arrival, Clock, Dispatch, Settled, Settlement, Source, Subscription } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { claim } from './claiming.ts'
import type { Delivery } from './convert.ts'
import { outlook } from './due.ts'
import { aborted, closed } from './errors.ts'
import type { Hub } from './hub.ts'
import { addTopic, findTopic, place, promote } from './log.ts'
import { startOf } from './positions.ts'
import { extend, isDelivery, mark, settle } from './settling.ts'
import type { Sql } from './sql.ts'
import { dropGroup, dropReply, type Group, joinGroup, nameOf, topicsOf } from './topology.ts'

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
  const lasting = mode === 'shared'
  const wish = { source, name: subscription.group, order, filter, from }
  const group = await refusing(report, source, () =>
    hub.writer.write((work) => {
      if (mode === 'reply' && findTopic(work.sql, namespace, nameOf(source)) === undefined)
        addTopic(work.sql, namespace, nameOf(source), undefined)
      // What is due before the group begins does not count as sent after it.
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
  const { hub, namespace, clock, leaseMs } = host
  const { source, mode } = subscription
  const window = Math.max(1, subscription.window)
  const hands = new Set<Delivery>()
  /** Taken, but its receive was aborted meanwhile. */
  let kept: Delivery[] = []
  let over = false
  let epoch: number | undefined
  let rouse: (() => void) | undefined
  let dirty = false
  const call = (): void => {
    dirty = true
    rouse?.()
  }
  const names = new Map<number, string>()
  const topicName = (sql: Sql, topic: number): string => {
    if (!('pattern' in source)) return source.name
    let name = names.get(topic)
    if (name === undefined) {
      name = sql.row('SELECT name FROM posthorn_topic WHERE id = ?', topic)?.['name'] as string
      names.set(topic, name)
    }
    return name
  }
  const leases = watchLeases(clock, hands, call)
  const stopBeating = mode === 'shared' ? () => {} : host.keepAlive(group.id)

  const loseAll = (): void => {
    for (const each of hands) each.lose()
    hands.clear()
    kept = []
  }
  const take = (max: number, signal: AbortSignal): Promise<readonly Delivery[]> =>
    hub.writer.write(
      (work) => {
        const room = Math.min(max, window - hands.size)
        if (over || signal.aborted || room <= 0) return []
        const now = clock.now()
        const laneRoom = Math.max(1, window >> 1)
        const found = claim(work, hub, { group, room, laneRoom, now, until: now + leaseMs, topicName })
        if (found.gone)
          throw new MessagingError(
            'unavailable',
            `the group ${group.name} of ${nameOf(source)} is gone from ${hub.path}`,
          )
        work.after(() => {
          // Somebody moved the group: what was in hand before is no longer ours.
          if (epoch !== undefined && epoch !== found.epoch) loseAll()
          epoch = found.epoch
          for (const each of found.deliveries) hands.add(each)
          leases.watch()
        })
        return found.deliveries
      },
      { sync: false },
    )
  const receive = async (max: number, signal: AbortSignal): Promise<readonly Arrival[]> => {
    if (!over && !signal.aborted && kept.length > 0) return kept.splice(0, max)
    const unlisten = hub.wake.listen(() => true, call)
    signal.addEventListener('abort', call, { once: true })
    try {
      for (;;) {
        if (over) throw closed(`the source of ${nameOf(source)}`)
        if (signal.aborted) return []
        dirty = false
        let at: number | undefined
        if (hands.size < window) {
          const found = await hub.read((sql) => outlook(sql, group.id, clock.now()))
          if (found.now) {
            const got = await take(max, signal)
            if (got.length > 0) {
              if (!signal.aborted && !over) return got
              kept.push(...got)
            }
            continue
          }
          at = found.at
        }
        if (!dirty) await nextCall(clock, at, (wake) => (rouse = wake))
      }
    } finally {
      rouse = undefined
      unlisten()
      signal.removeEventListener('abort', call)
    }
  }
  const settleAll = async (batch: readonly Settlement[]): Promise<readonly Settled[]> => {
    if (over) return batch.map(() => 'stale')
    const mine = batch.filter(({ token }) => isDelivery(token))
    if (mine.length === 0) return batch.map(() => 'stale')
    const sure = new Set<unknown>()
    for (const { token } of mine as readonly { readonly token: Delivery }[]) {
      if (hands.has(token) && !token.settling) sure.add(token)
      token.settling = true
    }
    const answers = await hub.writer
      .write((work) => settle(work, hub, group.id, mine, clock.now(), sure), { sync: false })
      .catch(() => mine.map((): Settled => 'unknown'))
    drop(mine)
    let next = 0
    return batch.map(({ token }) => (isDelivery(token) ? (answers[next++] as Settled) : 'stale'))
  }
  const drop = (batch: readonly Settlement[]): void => {
    for (const { token } of batch) hands.delete(token as Delivery)
    call()
  }

  const self: Source = {
    receive,
    settle: settleAll,
    async extend(tokens) {
      const mine = tokens.filter(isDelivery)
      if (over || mine.length === 0) return tokens.map(() => 'stale')
      const until = clock.now() + leaseMs
      const answers = await hub.writer.write(({ sql }) => extend(sql, group.id, mine, until), { sync: false })
      mine.forEach((each, n) => {
        if (answers[n] === 'ok') each.until = until
      })
      let next = 0
      return tokens.map((token) => (isDelivery(token) ? (answers[next++] as Settled) : 'stale'))
    },
    async mark(token) {
      if (over || !isDelivery(token)) return 'stale'
      return hub.writer.write(({ sql }) => mark(sql, group.id, token, true), { sync: false })
    },
    async unmark(token) {
      if (over || !isDelivery(token)) return 'stale'
      return hub.writer.write(({ sql }) => mark(sql, group.id, token, false), { sync: false })
    },
    async seek(to) {
      await refusing(subscription.report, source, () =>
        hub.writer.write((work) => {
          const { sql } = work
          promote(work, hub, clock.now())
          const topics = topicsOf(sql, namespace, source, hub.path)
          for (const topic of topics)
            sql.run(
              'UPDATE posthorn_cursor SET at = ? WHERE grp = ? AND topic = ?',
              startOf(sql, topic, to),
              group.id,
              topic.id,
            )
          sql.run('DELETE FROM posthorn_delivery WHERE grp = ?', group.id)
          sql.run('DELETE FROM posthorn_claim WHERE grp = ?', group.id)
          sql.run('UPDATE posthorn_group SET epoch = epoch + 1, fence = fence + 1 WHERE id = ?', group.id)
          work.after(() => {
            loseAll()
            hub.wake.topics(topics.map(({ id }) => id))
          })
        }),
      )
    },
    async atomic(sends: readonly Dispatch[], settlements: readonly Settlement[], signal: AbortSignal) {
      if (signal.aborted) throw aborted('the atomic send and settlement')
      await hub.writer.write((work) => {
        const now = clock.now()
        const stale = (): MessagingError =>
          new MessagingError('stale', 'a delivery of the atomic settlement is no longer ours; nothing was done')
        if (over || !settlements.every(({ token }) => isDelivery(token))) throw stale()
        if (settle(work, hub, group.id, settlements, now).some((answer) => answer !== 'ok')) throw stale()
        for (const result of place(work, host, sends, now)) if (!result.ok) throw result.error
        work.after(() => drop(settlements))
      })
    },
    async close() {
      if (over) return
      over = true
      leases.stop()
      stopBeating()
      call()
      const back = (): Promise<void> =>
        hub.writer.write((work) => {
          // A start alone that has not ended by now counts as one that never does.
          for (const each of hands) each.marked = false
          const all = [...hands].map((token) => ({ token, verdict: 'nack' }) as const)
          if (all.length > 0) settle(work, hub, group.id, all, clock.now())
          if (mode === 'shared') return
          dropGroup(work.sql, group.id)
          if (mode === 'reply') dropReply(work.sql, namespace, nameOf(source))
        })
      // What cannot be given back comes back when its lease ends.
      await Promise.race([
        back().catch(() => {}),
        new Promise((resolve) => clock.after(4_000, () => resolve(undefined), { unref: true })),
      ])
      hands.clear()
      host.ended(self)
    },
  }
  return self
}

/** Resolves at the next call, or at a time. */
function nextCall(clock: Clock, at: number | undefined, arm: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const cancel = at === undefined ? undefined : clock.after(Math.max(0, at - clock.now()), resolve, { unref: true })
    arm(() => {
      cancel?.()
      resolve()
    })
  })
}

/** Tells deliveries that their lease has ended; they are in the order of its end but for those that were extended. */
function watchLeases(clock: Clock, hands: Set<Delivery>, ended: () => void): { watch(): void; stop(): void } {
  let cancel: (() => void) | undefined
  const arm = (): void => {
    let first = Number.POSITIVE_INFINITY
    for (const { until } of hands) {
      if (until < first) first = until
      // A window is a few hundred at most, and this runs once per lease.
    }
    if (first < Number.POSITIVE_INFINITY) cancel = clock.after(Math.max(0, first - clock.now()), look, { unref: true })
  }
  const look = (): void => {
    cancel = undefined
    const now = clock.now()
    const late = [...hands].filter(({ until }) => until <= now)
    const lanes = new Set(late.flatMap(({ lane }) => lane ?? []))
    // A key goes whole: with one of its messages all that are in hand, also those that were extended.
    for (const each of hands) {
      if (each.until > now && (each.lane === undefined || !lanes.has(each.lane))) continue
      each.lose()
      hands.delete(each)
    }
    ended()
    arm()
  }
  return {
    watch() {
      if (cancel === undefined) arm()
    },
    stop: () => cancel?.(),
  }
}
