import { MessagingError } from '@posthorn/core'
import { type Clock, pause } from '@posthorn/core/driver'
import { spread } from './backoff.ts'
import type { CommittedOffset, Member, Partition } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import type { Place } from './convert.ts'
import { expelled, Fault, faultOf, messagingError, moved, passes } from './errors.ts'
import type { Fetcher } from './fetching.ts'
import { type Lane, lane, partitionOf } from './lane.ts'
import { beginning, noteOf, type Progress, progressOf } from './progress.ts'
import { edges } from './starting.ts'

/** The partitions that a member of a group owns. */
export interface Holdings {
  readonly lanes: readonly Lane[]
  /** What we tell the group that we own: also what is being begun and what is being given up. */
  owned(): Partition[]
  /**
   * Begins what is new and gives up what is no longer ours; resolves when what is new is being read, or with false when it was lost before that. It goes on
   * where the group was, or at `starts` where it has not been, or in any case at `sought`.
   */
  become(
    partitions: readonly Partition[],
    starts: ReadonlyMap<string, number>,
    sought: ReadonlyMap<string, number>,
  ): Promise<boolean>
  /** What was handed out of these (`partition/topic`) is stale. */
  drop(keys: Iterable<string>): void
  /** Commits offsets of partitions, whoever owns them. */
  commitFor(to: ReadonlyMap<string, number>): Promise<void>
  /** Everything is gone without our doing. */
  loseAll(reason: MessagingError): void
  /** Commits what has moved; one at a time. False: nothing could be, since the group is being assigned anew. */
  commit(): Promise<boolean>
  /** Commits for the last time, so that nobody begins after a crash; waits for a while for the group to be assigned. */
  commitLast(): Promise<void>
  /** Runs work while nothing else is committed. */
  alone<T>(work: () => Promise<T>): Promise<T>
}

/** What it needs. */
export interface HoldingsContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly fetcher: Fetcher
  readonly drainMs: number
  readonly group: string
  /** How the group reads its topics; kept with the offsets. */
  readonly agreed: string
  readonly window: number
  place(): Member | undefined
  describe(partition: Partition): { readonly place: Place; readonly delayed: boolean }
  /** Something may be handed out. */
  wake(): void
  /** A partition was let go: the group may give it on. */
  released(): void
  positionLost(place: Place, from: number): void
  fence(partition: Partition): Promise<void>
  readonly signal: AbortSignal
}

/** How long a closing waits for the group to be assigned, so that what it finished can be committed. */
const lastCommitMs = 1_200

const keyOf = ({ topic, partition }: Partition): string => `${partition}/${topic}`

/** Nothing owned yet. */
export function holdings(context: HoldingsContext): Holdings {
  const { cluster, clock, fetcher, drainMs, group, signal } = context
  const lanes = new Map<string, Lane>()
  const beginningNow = new Map<string, Partition>()
  const leaving = new Set<Lane>()
  /** Of these, what waits for its last commit. */
  const drained = new Set<Lane>()
  const committed = new Map<Lane, string>()
  let last: Promise<unknown> = Promise.resolve()
  let list: readonly Lane[] = []

  const changed = (): void => {
    list = [...lanes.values()]
  }
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work, work)
    last = result.catch(() => {})
    return result
  }
  const commitLanes = async (some: readonly Lane[], end: 'clean' | undefined): Promise<boolean> => {
    const offsets: CommittedOffset[] = []
    const texts = new Map<Lane, readonly [text: string, Progress]>()
    for (const each of some) {
      if (each.lost) continue
      const progress = each.progress(end)
      const note = noteOf(progress)
      // What does not fit is delivered again after a crash; where transactions rely on it the offset waits.
      if (note === undefined && progress.transactional) continue
      const metadata = note ?? noteOf({ ...progress, ahead: [], tries: [] }) ?? ''
      const text = `${progress.offset} ${metadata}`
      if (committed.get(each) === text) continue
      texts.set(each, [text, progress])
      offsets.push({ ...partitionOf(each), offset: progress.offset, metadata })
    }
    if (offsets.length === 0) return true
    const member = context.place()
    if (member === undefined) return false
    try {
      await cluster.wire.commit(await cluster.coordinator('group', group), member, offsets)
      for (const [each, [text, progress]] of texts) {
        committed.set(each, text)
        each.committed(progress)
      }
      return true
    } catch (error) {
      if (moved(faultOf(error))) cluster.forget({ coordinator: group })
      throw error
    }
  }
  /** The same for what is given up, as often as it takes: while the group is assigned anew nothing can be committed, and all of it is still ours. */
  const commitClean = async (some: readonly Lane[], bears: (fault: Fault) => boolean, until: number): Promise<void> => {
    for (;;) {
      let ms = 20
      try {
        if (await inTurn(() => commitLanes(some, 'clean'))) return
      } catch (error) {
        const fault = faultOf(error)
        if (fault.type !== 'REBALANCE_IN_PROGRESS' && !expelled(fault)) {
          if (!bears(fault)) return
          ms = spread(200)
        }
      }
      if (some.every(({ lost }) => lost) || clock.now() >= until || !(await pause(clock, ms, signal))) return
    }
  }
  const begin = async (
    partitions: readonly Partition[],
    starts: ReadonlyMap<string, number>,
    sought: ReadonlyMap<string, number>,
  ): Promise<boolean> => {
    const member = context.place()
    if (member === undefined) return false
    const read = async () => {
      const node = await cluster.coordinator('group', group)
      return new Map((await cluster.wire.committed(node, group, partitions)).map((each) => [keyOf(each), each]))
    }
    let held = await read()
    const used = partitions.filter((each) => progressOf(held.get(keyOf(each)) ?? none).transactional)
    if (used.length > 0) {
      for (const each of used) await context.fence(each)
      held = await read()
    }
    const lowest = await edges(cluster, partitions, 'beginning')
    const gained: Lane[] = []
    const passed = new Map<Place, number>()
    for (const [i, partition] of partitions.entries()) {
      const { place, delayed } = context.describe(partition)
      const low = lowest[i] as number
      const to = sought.get(keyOf(partition))
      const known = to === undefined ? progressOf(held.get(keyOf(partition)) ?? none) : beginning(to)
      let from = known.offset >= 0 ? known : beginning(starts.get(keyOf(partition)) ?? low)
      if (from.offset < low) {
        passed.set(place, from.offset)
        from = beginning(low)
      }
      if (!beginningNow.has(keyOf(partition))) continue
      const begun = { ...from, agreed: context.agreed }
      gained.push(lane(place, delayed, BigInt(member.generation), begun, context.window, context.wake))
    }
    // That we begin here is kept before anything is handed out; where nothing was committed, it fixes the beginning.
    if (!(await inTurn(() => commitLanes(gained, undefined)))) return false
    for (const [place, offset] of passed) context.positionLost(place, offset)
    for (const each of gained) {
      const partition = partitionOf(each)
      if (!beginningNow.delete(keyOf(partition))) continue
      lanes.set(keyOf(partition), each)
      each.reading = fetcher.add(partition.topic, partition.partition, each.progress().offset, {
        records(records, next) {
          each.push(records, next)
          context.wake()
        },
        lost(from) {
          context.positionLost(each.place, from)
        },
      })
    }
    changed()
    return true
  }
  /** Lets go of what is drained, all of it by one commit, and has the group give it on by one assignment. */
  const letGo = async (): Promise<void> => {
    while (drained.size > 0) {
      const some = [...drained].map((each) => [each, each.inHand] as const)
      await commitClean(
        some.map(([each]) => each),
        passes,
        Number.POSITIVE_INFINITY,
      )
      for (const [each, inHand] of some) {
        // What was finished meanwhile was answered for, and is to be committed, too.
        if (inHand !== each.inHand && !each.lost && !signal.aborted) continue
        each.lose(taken(each))
        drained.delete(each)
        leaving.delete(each)
        if (lanes.get(keyOf(partitionOf(each))) === each) lanes.delete(keyOf(partitionOf(each)))
      }
      changed()
    }
    context.released()
  }
  const release = async (each: Lane): Promise<void> => {
    each.drain()
    leaving.add(each)
    changed()
    const until = clock.now() + drainMs
    while (each.inHand > 0 && clock.now() < until && !each.lost && !signal.aborted) await pause(clock, 20, signal)
    drained.add(each)
    if (drained.size === 1) await letGo()
  }
  return {
    get lanes() {
      return list
    },
    owned: () => [...[...lanes.values()].map(partitionOf), ...beginningNow.values()],
    async become(partitions, starts, sought) {
      const wanted = new Map(partitions.map((each) => [keyOf(each), each]))
      for (const [key, each] of lanes) if (!wanted.has(key) && !leaving.has(each)) void release(each)
      for (const key of beginningNow.keys()) if (!wanted.has(key)) beginningNow.delete(key)
      const gained = partitions.filter((each) => !lanes.has(keyOf(each)) && !beginningNow.has(keyOf(each)))
      if (gained.length === 0) return true
      for (const each of gained) beginningNow.set(keyOf(each), each)
      for (let tries = 0; ; ) {
        const open = gained.filter((each) => beginningNow.get(keyOf(each)) === each)
        if (open.length === 0 || signal.aborted) return false
        try {
          if (await begin(open, starts, sought)) return true
          // The group is being assigned anew, and may leave us what we had begun.
          await pause(clock, 20, signal)
        } catch (error) {
          const fault = faultOf(error)
          if (error instanceof MessagingError || (!expelled(fault) && tries++ > 20))
            throw messagingError(error, `partitions of the group ${group} could not be begun`)
          if (moved(fault)) cluster.forget({ coordinator: group })
          await pause(clock, spread(100), signal)
        }
      }
    },
    drop(keys) {
      for (const key of keys) {
        const each = lanes.get(key)
        if (each === undefined) continue
        each.lose(new MessagingError('stale', `${group} was moved by a seek; what came before it is no longer counted`))
        if (!leaving.has(each)) lanes.delete(key)
      }
      changed()
    },
    commitFor: (to) =>
      inTurn(async () => {
        const member = context.place()
        if (member === undefined) throw new Fault('broker', 'REBALANCE_IN_PROGRESS', 'the group is being assigned anew')
        const offsets = [...to].map(([key, offset]): CommittedOffset => {
          const cut = key.indexOf('/')
          return { topic: key.slice(cut + 1), partition: Number(key.slice(0, cut)), offset, metadata: '' }
        })
        await cluster.wire.commit(await cluster.coordinator('group', group), member, offsets)
      }),
    loseAll(reason) {
      for (const each of lanes.values()) each.lose(reason)
      lanes.clear()
      leaving.clear()
      beginningNow.clear()
      changed()
    },
    commit: () => inTurn(() => commitLanes([...lanes.values()], undefined)),
    commitLast: () => commitClean([...lanes.values()], () => false, clock.now() + lastCommitMs),
    alone: inTurn,
  }
}

const none = { offset: -1, metadata: '' }

function taken({ place }: Lane): MessagingError {
  return new MessagingError(
    'stale',
    `partition ${place.partition} of ${place.kafkaTopic} was given to another consumer of the group; what it held is delivered there`,
  )
}
