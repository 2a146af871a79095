import { MessagingError } from '@posthorn/core'
import { type Clock, type From, patternMatches, pause, type Source, type Subscription } from '@posthorn/core/driver'
import type { Partition, StoredRecord } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { parsePosition } from './convert.ts'
import { messagingError } from './errors.ts'
import { fetcher } from './fetching.ts'
import { type Lane, lane } from './lane.ts'
import type { Names } from './names.ts'
import { outlet } from './outlet.ts'
import { beginning } from './progress.ts'
import { edges, startsOf } from './starting.ts'

/** What it needs. */
export interface PrivateContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly names: Names
  /** Makes the topic of replies where it is missing. */
  readonly prepareReplies: () => Promise<void>
  /** How far this member had read when its connection broke: it goes on there. */
  readonly places: Map<string, ReadonlyMap<string, number>>
  readonly closed: () => void
}

/** A source without a group, and what its driver does with it. */
export interface PrivateSource extends Source {
  /** A topic was just made. */
  appeared(): void
  /** Whether messages can come. */
  readonly consuming: boolean
}

/** How long a topic or partition that others made may go unnoticed. */
const lookEveryMs = 3_000

/**
 * A reader without a consumer group: broadcast, replies, replay. Nothing of it is kept on the broker. All partitions are its own, also those that
 * appear later, and after a broken connection the same member goes on where it was.
 */
export async function privateSource(subscription: Subscription, context: PrivateContext): Promise<PrivateSource> {
  const { mode, source: spec, from, to, report } = subscription
  const { cluster, clock, names, places } = context
  const finite = mode === 'replay'
  const me = `${mode} ${subscription.group} ${subscription.member}`
  const address = mode === 'reply' && 'name' in spec ? Buffer.from(spec.name, 'utf8') : undefined
  const lanes: Lane[] = []
  /** Where a replay ends, by lane. */
  const ends = new Map<Lane, number>()
  const arrived = (each: Lane): boolean => (each.reading?.offset ?? 0) >= (ends.get(each) ?? 0)
  const out = outlet(
    () => lanes,
    clock,
    subscription.window,
    () => finite && lanes.every((each) => arrived(each) && !each.ready),
  )
  const reader = fetcher({
    cluster,
    clock,
    committedOnly: true,
    failed: (fault) => out.fail(messagingError(fault, `reading for ${subscription.group} stopped`)),
  })
  const wanted = (record: StoredRecord): boolean =>
    address === undefined || (record.key !== null && address.equals(record.key))
  const open = (at: Partition, topic: string, offset: number, end: number | undefined): void => {
    const each = lane(
      { topic, kafkaTopic: at.topic, partition: at.partition },
      false,
      0n,
      beginning(offset),
      subscription.window,
    )
    lanes.push(each)
    if (end !== undefined) ends.set(each, end)
    each.reading = reader.add(at.topic, at.partition, offset, {
      records(records, next) {
        const some = records.filter((record) => wanted(record) && (end === undefined || record.offset < end))
        each.push(some, next)
        if (arrived(each) && end !== undefined) each.reading?.remove()
        out.wake()
      },
      lost: (lost) => report({ event: 'position-lost', topic, position: `${at.partition}:${lost}` }),
    })
    if (end !== undefined && offset >= end) each.reading.remove()
  }
  const topicsOf = async (): Promise<readonly (readonly [kafka: string, ours: string])[]> => {
    if ('name' in spec) return [[mode === 'reply' ? names.replies : names.topic(spec.name), spec.name]]
    const all = await cluster.refresh()
    return all.flatMap(({ name }) => {
      const topic = names.readable(name)
      return topic !== undefined && patternMatches(spec.pattern, topic) ? [[name, topic] as const] : []
    })
  }
  const reading = (kafkaTopic: string, partition: number): boolean =>
    lanes.some(({ place }) => place.kafkaTopic === kafkaTopic && place.partition === partition)
  /** Opens what is not being read yet. */
  const follow = async (begin: From): Promise<void> => {
    const before = places.get(me)
    for (const [kafkaTopic, topic] of await topicsOf()) {
      const { partitions } = await cluster.topic(kafkaTopic)
      const fresh = partitions.flatMap(({ id }) =>
        reading(kafkaTopic, id) ? [] : [{ topic: kafkaTopic, partition: id }],
      )
      const starts = await startsOf(cluster, fresh, begin)
      const lowest = finite ? await edges(cluster, fresh, 'beginning') : []
      const stops = finite ? await startsOf(cluster, fresh, past(to)) : []
      for (const [i, at] of fresh.entries()) {
        const start = before?.get(`${at.partition}/${kafkaTopic}`) ?? (starts[i] as number)
        open(at, topic, Math.max(start, lowest[i] ?? 0), stops[i])
      }
    }
  }

  try {
    if (mode === 'reply') await context.prepareReplies()
    await cluster.patiently({}, () => follow(from))
  } catch (error) {
    reader.close()
    await cluster.wire.close()
    throw messagingError(error, `${'name' in spec ? spec.name : spec.pattern} could not be read`)
  }
  const closing = new AbortController()
  let looking = Promise.resolve()
  /** What appears later is new from its beginning on. A look that fails is made again. */
  const look = (): Promise<void> => {
    looking = looking.then(async () => {
      if (closing.signal.aborted) return
      if ('name' in spec) cluster.forget({ topic: names.topic(spec.name) })
      await follow('earliest').catch(() => {})
    })
    return looking
  }
  const watch = async (): Promise<void> => {
    while (await pause(clock, lookEveryMs, closing.signal)) await look()
  }
  if (mode === 'broadcast') void watch()
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    closing.abort()
    if (out.failure !== undefined && !finite)
      places.set(
        me,
        new Map(lanes.map((each) => [`${each.place.partition}/${each.place.kafkaTopic}`, each.progress().offset])),
      )
    else places.delete(me)
    const ended = new MessagingError('closed', `the reader ${subscription.group} was closed`)
    reader.close()
    for (const each of lanes) each.lose(ended)
    out.fail(ended)
    await cluster.wire.close()
    context.closed()
  }
  return {
    receive: out.receive,
    settle: out.settle,
    appeared() {
      if (mode === 'broadcast' && 'pattern' in spec) void look()
    },
    close() {
      closed ??= close()
      return closed
    },
    get consuming() {
      return out.failure === undefined
    },
  }
}

/** What `to` names is read, too. */
function past(to: Subscription['to']): From {
  if (to === undefined || typeof to === 'string') return to ?? 'latest'
  if ('time' in to) return { time: to.time + 1 }
  const position = parsePosition(to.position)
  return position === undefined ? to : { position: `${position.partition}:${position.offset + 1}` }
}
