import type { Arrival, DriverLag, DriverQuery, PatternSpec, TopicSpec } from '@posthorn/core/driver'
import { patternMatches } from '@posthorn/core/driver'
import type { Partition } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { arrivalOf } from './convert.ts'
import { messagingError } from './errors.ts'
import type { Names } from './names.ts'
import { progressOf } from './progress.ts'
import { merged, scan } from './scan.ts'
import { edges, startsOf, timeOf } from './starting.ts'

/** What it needs. */
export interface AdminContext {
  readonly cluster: ClusterMap
  readonly names: Names
  readonly now: () => number
}

/** The partitions of what a spec names, of those topics that exist. */
async function partitionsOf(
  { cluster, names }: AdminContext,
  spec: TopicSpec | PatternSpec,
  group: string | undefined,
): Promise<readonly (Partition & { readonly ours: string })[]> {
  const wanted = new Map<string, string>()
  const add = (topic: string): void => {
    wanted.set(names.topic(topic), topic)
    if (group !== undefined) for (const retry of names.retries(topic, group)) wanted.set(retry, topic)
  }
  if ('name' in spec) add(spec.name)
  else
    for (const { name } of await cluster.patiently({}, () => cluster.refresh())) {
      const topic = names.readable(name)
      if (topic !== undefined && patternMatches(spec.pattern, topic)) add(topic)
    }
  const views = wanted.size === 0 ? [] : await cluster.patiently({}, () => cluster.refresh([...wanted.keys()]))
  return views.flatMap(({ name, partitions }) =>
    partitions.map(({ id }) => ({ topic: name, partition: id, ours: wanted.get(name) as string })),
  )
}

/** What lies between a group's offsets and the ends of its partitions, without what it finished ahead. */
export async function lagOf(context: AdminContext, spec: TopicSpec | PatternSpec, group: string): Promise<DriverLag> {
  const { cluster, names, now } = context
  try {
    const partitions = await partitionsOf(context, spec, group)
    if (partitions.length === 0) return { backlog: 0, oldestMs: undefined, lostInMs: undefined }
    const id = names.group(spec, group)
    const committed = await cluster.patiently({ coordinator: id }, async () =>
      cluster.wire.committed(await cluster.coordinator('group', id), id, partitions),
    )
    const held = new Map(committed.map((each) => [`${each.partition}/${each.topic}`, progressOf(each)]))
    const [lowest, ends] = [await edges(cluster, partitions, 'beginning'), await edges(cluster, partitions, 'end')]
    let backlog = 0
    let oldest = Number.POSITIVE_INFINITY
    let lostInMs = Number.POSITIVE_INFINITY
    for (const [i, each] of partitions.entries()) {
      const progress = held.get(`${each.partition}/${each.topic}`)
      const from = Math.max(progress?.offset ?? -1, lowest[i] as number)
      const waiting = (ends[i] as number) - from - (progress?.ahead.length ?? 0)
      if (waiting <= 0) continue
      backlog += waiting
      const time = await timeOf(cluster, each, from)
      if (time === undefined) continue
      oldest = Math.min(oldest, time)
      const settings = await cluster.patiently({}, () => cluster.wire.settings(each.topic))
      const retention = Number(settings.get('retention.ms') ?? -1)
      if (retention >= 0) lostInMs = Math.min(lostInMs, Math.max(0, time + retention - now()))
    }
    const finite = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined)
    const age = finite(oldest)
    return { backlog, oldestMs: age === undefined ? undefined : Math.max(0, now() - age), lostInMs: finite(lostInMs) }
  } catch (error) {
    throw messagingError(error, `the lag of ${group} could not be read`)
  }
}

/** A scan over what is stored, bounded by the times asked for: Kafka has no index by key or id. */
export async function* queryOf(
  context: AdminContext,
  spec: TopicSpec | PatternSpec,
  where: DriverQuery,
  signal: AbortSignal,
): AsyncGenerator<Arrival> {
  const { cluster } = context
  try {
    const partitions = await partitionsOf(context, spec, undefined)
    const from = await startsOf(cluster, partitions, where.from === undefined ? 'earliest' : { time: where.from })
    const to = await startsOf(cluster, partitions, where.to === undefined ? 'latest' : { time: where.to + 1 })
    const streams = partitions.map(async function* (each, i) {
      const place = { topic: each.ours, kafkaTopic: each.topic, partition: each.partition }
      for await (const record of scan(cluster, each, from[i] as number, to[i] as number, signal)) {
        const { letter: _, group: __, notBefore: ___, ...arrival } = arrivalOf(record, place)
        if (where.id !== undefined && arrival.id !== where.id) continue
        if (where.key !== undefined && arrival.key !== where.key) continue
        yield { arrival, time: record.timestamp }
      }
    })
    for await (const { arrival } of merged(streams, ({ time }) => time)) yield arrival
  } catch (error) {
    signal.throwIfAborted()
    throw messagingError(error, `${'name' in spec ? spec.name : spec.pattern} could not be queried`)
  }
}
