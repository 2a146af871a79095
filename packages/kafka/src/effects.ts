import { MessagingError } from '@posthorn/core'
import type { Dispatch, Settlement } from '@posthorn/core/driver'
import type { CommittedOffset, Member, Partition } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { faultOf, messagingError } from './errors.ts'
import { type Item, type Lane, partitionOf } from './lane.ts'
import { noteOf } from './progress.ts'

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

/**
 * Sends and settlements of a consumer in one transaction. Where the deliveries are of several partitions, the id of the first one is used: what a
 * paused former owner of the others has open is then fenced by its generation alone (and on kafkajs, which cannot send it, not at all).
 */
export async function settleInTransaction(
  { cluster, group, transact }: { readonly cluster: ClusterMap; readonly group: string; readonly transact: Transact },
  place: Member | undefined,
  sends: readonly Dispatch[],
  settlements: readonly Settlement[],
  signal: AbortSignal,
): Promise<void> {
  const items = settlements.map(({ token }) => token as Item)
  if (place === undefined || items.some((item) => item.lane.lost || !item.inHand))
    throw new MessagingError('stale', `a delivery of ${group} is no longer ours; it is delivered to another consumer`)
  const lanes = new Map<Lane, Item[]>()
  for (const item of items) lanes.set(item.lane, [...(lanes.get(item.lane) ?? []), item])
  const [first] = lanes.keys()
  if (first === undefined)
    throw new MessagingError('invalid', 'a transaction of a consumer settles at least one delivery')
  await announce(cluster, group, [...lanes.keys()], place)
  const offsets = [...lanes].map(([each, finished]): CommittedOffset => {
    const progress = each.progress(undefined, finished)
    const metadata = noteOf(progress)
    if (metadata === undefined)
      throw new MessagingError(
        'throttled',
        `too much of ${each.place.kafkaTopic} is finished above an unfinished message; wait for it`,
      )
    return { ...partitionOf(each), offset: progress.offset, metadata }
  })
  await transact.run(group, partitionOf(first), sends, place, offsets, signal)
  for (const item of items) item.lane.finish(item)
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
