import { MessagingError } from '@posthorn/core'
import {
  type Clock,
  type From,
  patternMatches,
  pause,
  type Settlement,
  type Source,
  type Subscription,
} from '@posthorn/core/driver'
import { type Assignment, assign, type Membership } from './assignment.ts'
import type { CommittedOffset, Member, Partition } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { type Fault, faultOf, messagingError } from './errors.ts'
import { fetcher } from './fetching.ts'
import { holdings } from './holdings.ts'
import type { Item, Lane } from './lane.ts'
import { type GroupMember, groupMember } from './membership.ts'
import type { Names } from './names.ts'
import { outlet } from './outlet.ts'
import { aborted } from './producer.ts'
import { noteOf } from './progress.ts'
import { startsOf } from './starting.ts'

/** A source of a consumer group, and what its driver does with it. */
export interface GroupSource extends Source {
  readonly group: string
  /** A topic that we may want to read was just made. */
  appeared(kafkaTopic: string): void
  /** Commits what is finished. */
  flush(): Promise<void>
  /** Whether messages can come. */
  readonly consuming: boolean
}

/** What it needs. */
export interface SourceContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly names: Names
  readonly sessionMs: number
  readonly drainMs: number
  /** Sends and offsets in one transaction, under the id of a group's partition. */
  readonly transact: Transact
  readonly closed: () => void
}
/** How a source makes transactions. */
export interface Transact {
  fence(group: string, of: Partition, signal: AbortSignal): Promise<void>
  run(
    group: string,
    of: Partition,
    sends: Parameters<NonNullable<Source['atomic']>>[0],
    member: Member,
    offsets: readonly CommittedOffset[],
    signal: AbortSignal,
  ): Promise<void>
}

const commitEveryMs = 500
/** How long a topic or partition that others made may go unnoticed. */
const lookEveryMs = 3_000
const noteKind = 'posthorn'
interface Note {
  readonly kind: typeof noteKind
  /** By topic: where a new group begins. */
  readonly from: Readonly<Record<string, From>>
  /** How the group is read; all members must say the same. */
  readonly order: string
  readonly filter: string
  /** What this member knows to exist: a change of it makes the group assign anew. */
  readonly known: string
}
interface PlanNote {
  /** `partition/topic` to the offset where a new group begins. */
  readonly starts: Readonly<Record<string, number>>
  /** Why this member gets nothing. */
  readonly refused?: Disagreement | undefined
}
interface Disagreement {
  readonly property: 'order' | 'filter'
  readonly held: string
  readonly asked: string
}

/** Opens a place in a consumer group. Resolves when its first partitions are being read. */
export async function groupSource(
  subscription: Subscription,
  context: SourceContext,
  signal: AbortSignal,
): Promise<GroupSource> {
  const { source: spec, from, report } = subscription
  const { cluster, clock, names } = context
  const group = names.group(spec, subscription.group)
  const closing = new AbortController()
  /** Kafka topic to ours, of what we read. */
  const topics = new Map<string, { readonly topic: string; readonly delayed: boolean }>()
  const subscribe = (topic: string): void => {
    topics.set(names.topic(topic), { topic, delayed: false })
    for (const retry of names.retries(topic, subscription.group)) topics.set(retry, { topic, delayed: true })
  }
  if ('name' in spec) subscribe(spec.name)

  const out = outlet(() => held.lanes, clock, subscription.window)
  const { fail } = out
  const broken = (fault: Fault): void => fail(messagingError(fault, `reading ${group} stopped`))
  const reader = fetcher({ cluster, clock, committedOnly: true, failed: broken })
  const held = holdings({
    cluster,
    clock,
    fetcher: reader,
    drainMs: context.drainMs,
    group,
    signal: closing.signal,
    place: () => member?.place,
    describe({ topic, partition }) {
      const known = topics.get(topic) ?? { topic: names.readable(topic) ?? topic, delayed: false }
      return { place: { topic: known.topic, kafkaTopic: topic, partition }, delayed: known.delayed }
    },
    wake: out.wake,
    released: () => member?.rejoin(),
    positionLost: ({ topic, partition }, offset) =>
      report({ event: 'position-lost', topic, position: `${partition}:${offset}` }),
    fence: (partition) => context.transact.fence(group, partition, closing.signal),
  })

  /** What was there when we opened: what appears later is read from its beginning. */
  let first: readonly string[] = []
  let known = ''
  /** What exists of what we read; a pattern's topics may appear at any time. */
  const look = async (): Promise<string> => {
    if ('pattern' in spec) {
      for (const { name } of await cluster.refresh()) {
        const topic = names.readable(name)
        if (topic !== undefined && patternMatches(spec.pattern, topic)) subscribe(topic)
      }
    }
    const views = topics.size === 0 ? [] : await cluster.refresh([...topics.keys()])
    return views
      .filter(({ fault }) => fault === undefined)
      .map(({ name, partitions }) => `${name}:${partitions.length}`)
      .sort()
      .join(' ')
  }
  const covers = (kafkaTopic: string): boolean => {
    const topic = names.readable(kafkaTopic)
    return topic !== undefined && 'pattern' in spec && patternMatches(spec.pattern, topic)
  }
  const refresh = async (): Promise<void> => {
    const now = await look().catch(() => known)
    if (now === known) return
    known = now
    member?.rejoin()
  }
  const watch = async (): Promise<void> => {
    while (await pause(clock, lookEveryMs, closing.signal)) await refresh()
  }
  const plan = async (
    members: readonly (Membership & { readonly member: string })[],
  ): Promise<Map<string, Assignment>> => {
    const wanted = [...new Set(members.flatMap((each) => each.topics))]
    const views = wanted.length === 0 ? [] : await cluster.refresh(wanted)
    const partitions = new Map(
      views.filter(({ fault }) => fault === undefined).map((view) => [view.name, view.partitions.length]),
    )
    const starts = await firstStarts(members, partitions)
    const refused = new Map<string, Disagreement>()
    for (const each of members) {
      const disagreement = disagreementOf(each, members)
      if (disagreement !== undefined) refused.set(each.member, disagreement)
    }
    const plan = assign({
      members: members.filter((each) => !refused.has(each.member)),
      partitions,
      unitOf: (topic) => topic.split('.-.')[0] as string,
    })
    return new Map(
      members.map(({ member: id }) => [
        id,
        { partitions: plan.get(id) ?? [], note: { starts, refused: refused.get(id) } satisfies PlanNote },
      ]),
    )
  }
  /** Where topics begin of which the group has committed nothing. */
  const firstStarts = async (
    members: readonly Membership[],
    partitions: ReadonlyMap<string, number>,
  ): Promise<Record<string, number>> => {
    const starts: Record<string, number> = {}
    const all = [...partitions].flatMap(([topic, count]) =>
      Array.from({ length: count }, (_, partition) => ({ topic, partition })),
    )
    if (all.length === 0) return starts
    const committed = await cluster.patiently({ coordinator: group }, async () =>
      cluster.wire.committed(await cluster.coordinator('group', group), group, all),
    )
    const begun = new Set(committed.filter(({ offset }) => offset >= 0).map(({ topic }) => topic))
    for (const [topic] of partitions) {
      const where = members
        .map(({ note }) => (note as Note | undefined)?.from?.[topic])
        .find((each) => each !== undefined)
      if (begun.has(topic) || where === undefined || where === 'earliest') continue
      const of = all.filter((each) => each.topic === topic)
      const offsets = await startsOf(cluster, of, where)
      for (const [i, each] of of.entries()) starts[`${each.partition}/${topic}`] = offsets[i] as number
    }
    return starts
  }

  let ready = (): void => {}
  const opened = new Promise<void>((resolve) => {
    ready = resolve
  })
  let member: GroupMember | undefined
  let assigned: readonly Partition[] = []
  const begin = (): GroupMember =>
    groupMember(group, context, {
      membership: () => ({
        topics: [...topics.keys()],
        owned: held.owned(),
        note: {
          kind: noteKind,
          order: subscription.order,
          filter: JSON.stringify(subscription.filter ?? null),
          known,
          from: Object.fromEntries(first.map((topic) => [topic, from])),
        } satisfies Note,
      }),
      assign: plan,
      assigned({ partitions, note }, _place, anew) {
        if (anew) held.loseAll(gone(group))
        const refused = (note as PlanNote | undefined)?.refused
        if (refused !== undefined) return fail(disagrees(group, refused))
        assigned = partitions
        const starts = new Map(Object.entries((note as PlanNote | undefined)?.starts ?? {}))
        held.become(partitions, starts).then(ready, fail)
      },
      expelled: () => held.loseAll(gone(group)),
      failed: fail,
    })

  const commitLoop = async (): Promise<void> => {
    while (await pause(clock, commitEveryMs, closing.signal)) await held.commit().catch(() => {})
  }

  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    for (const each of held.lanes) each.drain()
    reader.close()
    const end = async (): Promise<void> => {
      await held.commit('clean').catch(() => {})
      await member?.leave()
    }
    await Promise.race([end(), pause(clock, 3_000)])
    closing.abort()
    held.loseAll(new MessagingError('closed', `the consumer of ${group} was closed`))
    fail(new MessagingError('closed', `the consumer of ${group} was closed`))
    await cluster.wire.close()
    context.closed()
  }

  const self: GroupSource = {
    group,
    receive: out.receive,
    async settle(batch) {
      const answers = await out.settle(batch)
      // A try that was used up is kept before it is answered for.
      if (batch.some((each) => each.verdict === 'nack' && each.failures !== undefined))
        await held.commit().catch(() => {})
      return answers
    },
    close() {
      closed ??= close()
      return closed
    },
    async mark(token) {
      const item = token as Item
      if (item.lane.lost || !item.inHand) return 'stale'
      item.lane.mark(item)
      try {
        await held.commit()
        return item.lane.lost ? 'stale' : 'ok'
      } catch {
        return 'unknown'
      }
    },
    async seek(to) {
      const place = member?.place
      if (place === undefined)
        throw new MessagingError('unavailable', `${group} has no partitions at the moment; try again`)
      await seekLanes(to, place)
    },
    async atomic(sends, settlements, signal) {
      await held.alone(() => transact(sends, settlements, signal))
    },
    appeared(topic) {
      if ('pattern' in spec ? covers(topic) : topics.has(topic)) void refresh()
    },
    flush: () => held.commit().catch(() => {}),
    get consuming() {
      return out.failure === undefined && member?.place !== undefined
    },
  }
  const seekLanes = async (to: From, place: Member): Promise<void> => {
    const mine = held.lanes.filter((each) => !each.delayed)
    const partitions = mine.map(partitionOf)
    const byTopic = new Map<string, Partition[]>()
    for (const each of partitions) byTopic.set(each.topic, [...(byTopic.get(each.topic) ?? []), each])
    const offsets: CommittedOffset[] = []
    for (const list of byTopic.values())
      for (const [i, offset] of (await startsOf(cluster, list, to)).entries())
        offsets.push({ ...(list[i] as Partition), offset, metadata: '' })
    await held.alone(async () => {
      await cluster.wire.commit(await cluster.coordinator('group', group), place, offsets)
      held.loseAll(new MessagingError('stale', `${group} was moved by seek; what came before is no longer counted`))
    })
    await held.become(assigned, new Map())
  }
  const transact = async (
    sends: Parameters<NonNullable<Source['atomic']>>[0],
    settlements: readonly Settlement[],
    signal: AbortSignal,
  ): Promise<void> => {
    const place = member?.place
    const items = settlements.map(({ token }) => token as Item)
    if (place === undefined || items.some((item) => item.lane.lost || !item.inHand))
      throw new MessagingError('stale', `a delivery of ${group} is no longer ours; it is delivered to another consumer`)
    const lanes = new Map<Lane, Item[]>()
    for (const item of items) lanes.set(item.lane, [...(lanes.get(item.lane) ?? []), item])
    const first = [...lanes.keys()][0]
    if (first === undefined)
      throw new MessagingError('invalid', 'a transaction of a consumer settles at least one delivery')
    await announce([...lanes.keys()], place)
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
    await context.transact.run(group, partitionOf(first), sends, place, offsets, signal)
    for (const item of items) item.lane.finish(item)
    out.wake()
  }
  /** Before the first transaction of a partition its next owner must be able to know that it has to fence ours. */
  const announce = async (lanes: readonly Lane[], place: Member): Promise<void> => {
    const fresh = lanes.filter((each) => !each.transactional)
    if (fresh.length === 0) return
    for (const each of fresh) each.transactional = true
    const offsets = fresh.map((each) => {
      const progress = each.progress()
      return {
        ...partitionOf(each),
        offset: progress.offset,
        metadata: noteOf({ ...progress, ahead: [], tries: [] }) ?? '',
      }
    })
    try {
      await cluster.wire.commit(await cluster.coordinator('group', group), place, offsets)
    } catch (error) {
      for (const each of fresh) each.transactional = false
      throw messagingError(faultOf(error), `a transaction of ${group} could not begin`)
    }
  }

  try {
    if ('name' in spec) await cluster.topic(names.topic(spec.name))
    known = await look()
    first = [...topics].filter(([, { delayed }]) => !delayed).map(([topic]) => topic)
  } catch (error) {
    await cluster.wire.close()
    throw messagingError(error, `${'name' in spec ? spec.name : spec.pattern} could not be read`)
  }
  member = begin()
  void watch()
  void commitLoop()
  await Promise.race([opened, out.failed, aborted(opened, signal)])
  if (out.failure !== undefined || signal.aborted) {
    await self.close()
    throw out.failure ?? new MessagingError('aborted', `opening ${group} was given up`)
  }
  return self
}

function partitionOf({ place }: Lane): Partition {
  return { topic: place.kafkaTopic, partition: place.partition }
}

function gone(group: string): MessagingError {
  return new MessagingError(
    'stale',
    `our place in the consumer group ${group} was lost; what it held is delivered to another consumer`,
  )
}

/** What a member says otherwise than those who were there before it. */
function disagreementOf(
  one: Membership & { readonly member: string },
  members: readonly (Membership & { readonly member: string })[],
): Disagreement | undefined {
  const mine = one.note as Partial<Note> | undefined
  const older = members.find(
    (each) =>
      each !== one &&
      one.owned.length === 0 &&
      (each.owned.length > 0 || each.member < one.member) &&
      each.topics.some((topic) => one.topics.includes(topic)),
  )
  const theirs = older?.note as Partial<Note> | undefined
  if (mine === undefined || theirs === undefined) return undefined
  for (const property of ['order', 'filter'] as const) {
    const [held, asked] = [theirs[property] ?? '', mine[property] ?? '']
    if (held !== asked) return { property, held, asked }
  }
  return undefined
}

function disagrees(group: string, { property, held, asked }: Disagreement): MessagingError {
  return new MessagingError(
    'invalid',
    `the group ${group} is read with ${property} ${held} by its other members and with ${property} ${asked} here; make them agree, or use another group`,
  )
}
