import { MessagingError } from '@posthorn/core'
import {
  type Clock,
  type From,
  newId,
  pause,
  type Settled,
  type Source,
  type Subscription,
  within,
} from '@posthorn/core/driver'
import { agreementOf, disagrees, recordOf } from './agreement.ts'
import type { Member } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { settleInTransaction, type Transact } from './effects.ts'
import { Fault, messagingError } from './errors.ts'
import { fetcher } from './fetching.ts'
import { holdings } from './holdings.ts'
import type { Instance } from './instances.ts'
import type { Item } from './lane.ts'
import { type GroupMember, groupMember } from './membership.ts'
import type { Names } from './names.ts'
import { outlet } from './outlet.ts'
import { type Note, type PlanNote, planOf } from './planning.ts'
import { aborted } from './producer.ts'
import { riskWatch } from './risk.ts'
import { checkFrom } from './starting.ts'
import { subscribed } from './subscribed.ts'

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
  readonly instance: Instance | undefined
  readonly drainMs: number
  readonly transact: Transact
  /** The id of the membership of which this consumer's last source could not take leave; '' where there is none. */
  readonly former: string
  /** `left` is the same, of this source. */
  readonly closed: (left: string) => void
}

const commitEveryMs = 500
/** How long a topic or partition that others made may go unnoticed. */
const lookEveryMs = 3_000

/** How long the last commit and the leaving of the group may take together. */
const closeMs = 3_000
/** What a group finds waiting may be old already. */
const firstLookMs = 500

/** Opens a place in a consumer group. Resolves when its first partitions are being read. */
export async function groupSource(
  subscription: Subscription,
  context: SourceContext,
  signal: AbortSignal,
): Promise<GroupSource> {
  const { source: spec, from, report } = subscription
  const { cluster, clock, names, transact } = context
  const what = 'name' in spec ? spec.name : spec.pattern
  const group = names.group(spec, subscription.group)
  const agreed = agreementOf(subscription)
  const closing = new AbortController()
  const me = `${subscription.member} ${newId(clock.now())}`
  const topics = subscribed(subscription, cluster, names)
  const out = outlet(() => held.lanes, clock, subscription.window)
  const broken = (fault: Fault): void => out.fail(messagingError(fault, `reading ${what} for ${group} stopped`))
  const reader = fetcher({ cluster, clock, committedOnly: true, failed: broken })
  const held = holdings({
    cluster,
    clock,
    fetcher: reader,
    drainMs: context.drainMs,
    group,
    agreed: recordOf(agreed),
    window: subscription.window,
    signal: closing.signal,
    place: () => member?.place,
    describe({ topic, partition }) {
      const { topic: ours, delayed } = topics.describe(topic)
      return { place: { topic: ours, kafkaTopic: topic, partition }, delayed }
    },
    wake: out.wake,
    released: () => member?.rejoin(),
    positionLost: ({ topic, partition }, offset) =>
      report({ event: 'position-lost', topic, position: `${partition}:${offset}` }),
    fence: (partition) => transact.fence(group, partition, closing.signal),
  })
  /** What was there when we opened: what appears later is read from its beginning. */
  let first: readonly string[] = []
  let known = ''
  let member: GroupMember | undefined
  let seek: Note['seek']
  const moved = new Set<string>()
  let ready = (): void => {}
  const opened = new Promise<void>((resolve) => {
    ready = resolve
  })

  const look = async (): Promise<void> => {
    const sight = await topics.look().catch(() => undefined)
    if (sight?.gone === true)
      broken(new Fault('broker', 'UNKNOWN_TOPIC_OR_PARTITION', `${what} is gone from the broker`))
    if (sight === undefined || sight.known === known) return
    known = sight.known
    member?.rejoin()
  }
  const noteNow = (): Note => ({
    agreed,
    known,
    member: me,
    from: Object.fromEntries(first.map((topic) => [topic, from])),
    seek,
  })
  /** Does what the leader says: first where the group was moved to, then whose partitions are whose. */
  const obey = async (assignment: {
    readonly partitions: Parameters<typeof held.become>[0]
    readonly note: unknown
  }) => {
    const { starts, moves, refused } = (assignment.note ?? {}) as Partial<PlanNote>
    if (refused !== undefined) throw disagrees(group, refused)
    const places = new Map<string, number>()
    for (const { id, to } of moves ?? []) {
      if (!moved.has(id)) held.drop(Object.keys(to))
      moved.add(id)
      for (const key in to) places.set(key, to[key] as number)
      if (seek?.id === id) void announceMove(seek, new Map(Object.entries(to)))
    }
    return held.become(assignment.partitions, new Map(Object.entries(starts ?? {})), places)
  }
  /** Who asked commits for all, so that what is on its way from one member to another is moved, too. */
  const announceMove = async (mine: Note['seek'], to: ReadonlyMap<string, number>): Promise<void> => {
    try {
      await held.commitFor(to)
      if (seek === mine) seek = undefined
    } catch {
      // The next assignment brings it again.
      member?.rejoin()
    }
  }
  const begin = (): GroupMember =>
    groupMember(group, context, {
      membership: () => ({ topics: topics.kafkaTopics, owned: held.owned(), note: noteNow() }),
      assign: (members) => planOf(cluster, group, members),
      assigned(assignment, _place, anew) {
        if (anew) held.loseAll(gone(group))
        obey(assignment).then((begun) => begun && ready(), out.fail)
      },
      expelled: () => held.loseAll(gone(group)),
      failed: out.fail,
    })
  const every = async (ms: number, work: () => Promise<void>): Promise<void> => {
    while (await pause(clock, ms, closing.signal)) await work()
  }
  const risk = riskWatch(
    context,
    () => held.lanes,
    (topic, lostInMs) => report({ event: 'at-risk', topic, lostInMs }),
  )
  const watch = async (): Promise<void> => {
    for (let ms = firstLookMs; await pause(clock, ms, closing.signal); ) ms = await risk.look().catch(() => ms)
  }
  const flush = async (): Promise<void> => void (await held.commit().catch(() => {}))
  const moveTo = async (to: From): Promise<void> => {
    checkFrom(to)
    await flush()
    const mine: Note['seek'] = { id: newId(clock.now()), topics: topics.sources, to }
    seek = mine
    member?.rejoin()
    while (seek === mine && out.failure === undefined) await pause(clock, 20)
    if (out.failure !== undefined) throw out.failure
  }

  const noted = async (item: Item, what: 'mark' | 'unmark'): Promise<Settled> => {
    if (item.lane.lost || !item.inHand) return 'stale'
    // While the group is assigned anew nothing can be noted.
    if (member?.place === undefined) return 'unknown'
    item.lane[what](item)
    const kept = await held.commit().catch(() => false)
    if (kept) return item.lane.lost ? 'stale' : 'ok'
    // Whether it was noted is unknown: the next commit says what is so.
    item.lane.unmark(item)
    return 'unknown'
  }
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    for (const each of held.lanes) each.drain()
    reader.close()
    const end = async (): Promise<string> => {
      await held.commitLast()
      return (await member?.leave()) ?? ''
    }
    const left = await within(end(), closeMs, clock)
    closing.abort()
    const ended = new MessagingError('closed', `the consumer of ${what} in ${group} was closed`)
    held.loseAll(ended)
    out.fail(ended)
    await cluster.wire.close()
    context.closed(left ?? member?.id ?? '')
  }
  const self: GroupSource = {
    group,
    receive: out.receive,
    async settle(batch) {
      const answers = await out.settle(batch)
      // A try that was used up is kept before it is answered for.
      if (batch.some((each) => each.verdict === 'nack' && each.failures !== undefined)) await flush()
      return answers
    },
    close() {
      closed ??= close()
      return closed
    },
    mark: (token) => noted(token as Item, 'mark'),
    unmark: (token) => noted(token as Item, 'unmark'),
    seek: moveTo,
    async atomic(sends, settlements, until) {
      const place = (): Member | undefined => member?.place
      const effects = { cluster, clock, group, transact, place, closing: closing.signal }
      try {
        await held.alone(() => settleInTransaction(effects, sends, settlements, until))
      } finally {
        out.wake()
      }
    },
    appeared(topic) {
      if (topics.covers(topic)) void look()
    },
    flush,
    get consuming() {
      return out.failure === undefined && member?.place !== undefined
    },
  }

  try {
    checkFrom(from)
    await cluster.patiently({}, async () => {
      if ('name' in spec) await cluster.topic(names.topic(spec.name))
      known = (await topics.look()).known
    })
    first = topics.sources
  } catch (error) {
    await cluster.wire.close()
    throw messagingError(error, `${what} could not be read`)
  }
  member = begin()
  void every(lookEveryMs, look)
  void every(commitEveryMs, flush)
  void watch()
  await Promise.race([opened, out.failed, aborted(opened, signal)])
  if (out.failure !== undefined || signal.aborted) {
    await self.close()
    throw out.failure ?? new MessagingError('aborted', `opening ${group} was given up`)
  }
  return self
}

function gone(group: string): MessagingError {
  return new MessagingError(
    'stale',
    `our place in the consumer group ${group} was lost; what it held is delivered to another consumer`,
  )
}
