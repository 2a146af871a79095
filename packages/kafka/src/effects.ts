import { isMessagingError, MessagingError } from '@posthorn/core'
import { type Clock, type Dispatch, pause, type Settlement } from '@posthorn/core/driver'
import { spread } from './backoff.ts'
import type { CommittedOffset, Member, Partition } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { faultOf, messagingError, moved } from './errors.ts'
import { type Item, type Lane, partitionOf } from './lane.ts'
import { noteOf, progressOf } from './progress.ts'

/** How a source makes transactions: one transactional id per group and partition, which its next owner takes over. */
export interface Transact {
  /** Takes the id over: what an older owner has open is undone, and it commits no more. */
  fence(group: string, of: Partition, signal: AbortSignal): Promise<void>
  run(
    group: string,
    of: Partition,
    sends: readonly Dispatch[],
    member: Member,
    offsets: readonly CommittedOffset[],
    signal: AbortSignal,
  ): Promise<void>
}

/** What a source's transactions need of it. */
export interface EffectsContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly group: string
  readonly transact: Transact
  /** Our place in the group; none while it is assigned anew. */
  readonly place: () => Member | undefined
  /** Of the source. */
  readonly closing: AbortSignal
}

/**
 * Sends and settlements of a consumer in one transaction. Where the deliveries are of several partitions, the id of the first one is used: what a
 * paused former owner of the others has open is then fenced by its generation alone (and on kafkajs, which cannot send it, not at all).
 * Where nothing of it happened, the deliveries come again. Nothing else may be committed meanwhile.
 */
export async function settleInTransaction(
  context: EffectsContext,
  sends: readonly Dispatch[],
  settlements: readonly Settlement[],
  signal: AbortSignal,
): Promise<void> {
  const items = settlements.map(({ token }) => token as Item)
  try {
    await attempt(context, items, sends, signal)
  } catch (error) {
    const doubtful = isMessagingError(error) && error.outcome === 'unknown'
    if (!doubtful || !(await committedAfterAll(context, items))) {
      for (const item of items) item.lane.putBack(item, undefined)
      throw error
    }
  }
  for (const item of items) item.lane.finish(item)
}

async function attempt(
  context: EffectsContext,
  items: readonly Item[],
  sends: readonly Dispatch[],
  signal: AbortSignal,
): Promise<void> {
  const { cluster, group, transact } = context
  const place = await placeOf(context, items, signal)
  const lanes = byLane(items)
  const [first] = lanes.keys()
  if (first === undefined)
    throw new MessagingError('invalid', 'a transaction of a consumer settles at least one delivery')
  await announce(cluster, group, [...lanes.keys()], place)
  const offsets = [...lanes].map(([each, finished]): CommittedOffset => {
    const progress = each.progress(undefined, finished)
    const metadata = noteOf(progress)
    if (metadata === undefined) {
      each.crowded()
      throw new MessagingError(
        'throttled',
        `too much of ${each.place.kafkaTopic} is finished above an unfinished message; it comes again when that one has ended`,
      )
    }
    return { ...partitionOf(each), offset: progress.offset, metadata }
  })
  await transact.run(group, partitionOf(first), sends, place, offsets, signal)
}

/** Our place in the group, as soon as we have one again, while the deliveries are ours. */
async function placeOf(
  { clock, group, place }: EffectsContext,
  items: readonly Item[],
  signal: AbortSignal,
): Promise<Member> {
  for (;;) {
    if (signal.aborted || items.some((item) => item.lane.lost || !item.inHand))
      throw new MessagingError('stale', `a delivery of ${group} is no longer ours; it is delivered to another consumer`)
    const found = place()
    if (found !== undefined) return found
    await pause(clock, 20, signal)
  }
}

/**
 * Whether a transaction whose end nobody has told has committed. To take its id over ends it one way or the other; then the offsets tell. Asked until
 * it is known, or until the deliveries are no longer ours and it is no longer ours to know.
 */
async function committedAfterAll(context: EffectsContext, items: readonly Item[]): Promise<boolean> {
  const { cluster, clock, group, transact, closing } = context
  const partitions = [...byLane(items).keys()].map(partitionOf)
  while (!closing.aborted && items.every(({ lane }) => !lane.lost)) {
    try {
      await transact.fence(group, partitions[0] as Partition, closing)
      const told = await cluster.wire.committed(await cluster.coordinator('group', group), group, partitions)
      const held = new Map(told.map((each) => [`${each.partition}/${each.topic}`, progressOf(each)]))
      return items.every(({ lane, record }) => {
        const { topic, partition } = partitionOf(lane)
        const { offset = -1, ahead = [] } = held.get(`${partition}/${topic}`) ?? {}
        return record.offset < offset || ahead.includes(record.offset)
      })
    } catch (error) {
      if (moved(faultOf(error))) cluster.forget({ coordinator: group })
      await pause(clock, spread(200), closing)
    }
  }
  return false
}

function byLane(items: readonly Item[]): Map<Lane, Item[]> {
  const lanes = new Map<Lane, Item[]>()
  for (const item of items) lanes.set(item.lane, [...(lanes.get(item.lane) ?? []), item])
  return lanes
}

/** Before the first transaction of a partition its next owner must be able to know that it has to fence ours. */
async function announce(cluster: ClusterMap, group: string, lanes: readonly Lane[], place: Member): Promise<void> {
  const fresh = lanes.filter((each) => !each.transactional)
  if (fresh.length === 0) return
  for (const each of fresh) each.transactional = true
  const offsets = fresh.map((each) => {
    const progress = each.progress()
    const metadata = noteOf(progress) ?? noteOf({ ...progress, ahead: [] }) ?? ''
    return { ...partitionOf(each), offset: progress.offset, metadata }
  })
  try {
    await cluster.wire.commit(await cluster.coordinator('group', group), place, offsets)
  } catch (error) {
    for (const each of fresh) each.transactional = false
    throw messagingError(faultOf(error), `a transaction of ${group} could not begin`)
  }
}
