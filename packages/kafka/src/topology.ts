import { MessagingError } from '@posthorn/core'
import type { TopicSpec } from '@posthorn/core/driver'
import type { TopicView } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { faultOf, messagingError, moved, passes } from './errors.ts'
import type { Names } from './names.ts'
import type { KafkaMapping, Settings } from './options.ts'

/** A topic of ours beside another. */
export interface Beside {
  readonly name: string
  readonly settings: Readonly<Record<string, string>>
  /** Undefined: as many as the other one has. */
  readonly partitions?: number | undefined
}

/** Makes and verifies topics. */
export interface Topology {
  /** Whether it makes what is missing, looks for it, or believes that it is there. */
  readonly mode: 'declare' | 'check' | 'none'
  declare(topic: TopicSpec): Promise<void>
  /** Makes it unless it is there. Whether it was made now. */
  beside(topic: string, one: Beside): Promise<boolean>
  /** Refuses, with the commands that make them, where some of these are not there. */
  verify(topic: string, all: readonly Beside[]): Promise<void>
}

/** What it needs. */
export interface TopologyContext {
  readonly cluster: ClusterMap
  readonly names: Names
  readonly settings: Settings
  readonly mode: 'declare' | 'check' | 'none'
  /** A topic was made that a consumer may wait for. */
  readonly appeared: (kafkaTopic: string) => void
}

/** Topology by the options: `declare` makes what is missing, `check` only looks, `none` believes. */
export function topology({ cluster, names, settings, mode, appeared }: TopologyContext): Topology {
  const make = async (
    name: string,
    partitions: number,
    entries: Readonly<Record<string, string>>,
  ): Promise<boolean> => {
    const replication = settings.minInSync === undefined ? {} : { 'min.insync.replicas': String(settings.minInSync) }
    for (let tries = 0; ; tries++) {
      try {
        const [made] = await cluster.wire.createTopics(await cluster.controller(), [
          { topic: name, partitions, replicas: settings.replicas ?? -1, settings: { ...replication, ...entries } },
        ])
        if (made?.fault === undefined) return await leaders(name, true)
        if (made.fault.type === 'TOPIC_ALREADY_EXISTS') return await leaders(name, false)
        throw made.fault
      } catch (error) {
        if (error instanceof MessagingError) throw error
        const fault = faultOf(error)
        // A broker that has just started knows of no broker yet, not even of itself.
        const early = fault.type === 'INVALID_REPLICATION_FACTOR' && settings.replicas === undefined
        if ((!passes(fault) && !early) || tries >= 20) throw messagingError(fault, `topic ${name} could not be created`)
        if (moved(fault)) await cluster.refresh([]).catch(() => {})
        await later(100)
      }
    }
  }
  /** A new topic is usable when each partition has a leader and every broker that is asked knows it. */
  const leaders = async (name: string, made: boolean): Promise<boolean> => {
    for (let tries = 0; tries < 100; tries++) {
      const [view] = await cluster.refresh([name]).catch(() => [])
      if (view !== undefined && view.fault === undefined && view.partitions.every(({ leader }) => leader >= 0)) {
        if (made) appeared(name)
        return made
      }
      await later(50)
    }
    throw new MessagingError('unavailable', `topic ${name} was created, but its partitions have no leaders yet`)
  }
  const verify = async (spec: TopicSpec, view: TopicView): Promise<void> => {
    const mapped = (spec.on as KafkaMapping | undefined)?.topic !== undefined
    const count = view.partitions.length
    if (!mapped && count !== spec.partitions)
      throw new MessagingError(
        'invalid',
        `topic ${view.name} has ${count} partitions on the broker and ${spec.partitions} in the code; write partitions: ${count} in topic(), or make a new topic`,
      )
    const { replicas = 0, minInSync } = settings
    const fewest = Math.min(...view.partitions.map((each) => each.replicas))
    const tooFew = (wanted: string): MessagingError =>
      new MessagingError(
        'invalid',
        `topic ${view.name} has ${fewest} replicas and ${wanted}; add them with kafka-reassign-partitions.sh, or ask for less`,
      )
    if (fewest < replicas) throw tooFew(`replication.factor asks for ${replicas}`)
    if (minInSync === undefined && spec.retentionMs === undefined) return
    const held = await cluster.patiently({}, () => cluster.wire.settings(view.name))
    const keptMs = Number(held.get('retention.ms') ?? -1)
    if (spec.retentionMs !== undefined && keptMs >= 0 && keptMs < spec.retentionMs)
      throw new MessagingError(
        'invalid',
        `topic ${view.name} keeps messages for ${keptMs} ms and retentionMs asks for ${spec.retentionMs}; run: ${altering(view.name, 'retention.ms', spec.retentionMs)}`,
      )
    if (minInSync === undefined) return
    const actual = Number(held.get('min.insync.replicas') ?? 1)
    if (actual < minInSync)
      throw new MessagingError(
        'invalid',
        `topic ${view.name} acknowledges with ${actual} replicas in sync and replication.minInSync asks for ${minInSync}; run: ${altering(view.name, 'min.insync.replicas', minInSync)}`,
      )
    if (fewest < actual) throw tooFew(`needs ${actual} in sync to acknowledge anything`)
  }
  const partitionsOf = async (topic: string, { partitions }: Beside): Promise<number> =>
    partitions ?? (await cluster.patiently({}, () => cluster.topic(topic))).partitions.length
  const verifyAll = async (topic: string, all: readonly Beside[]): Promise<void> => {
    const commands: string[] = []
    for (const one of all)
      if (!(await cluster.exists(one.name)))
        commands.push(creating(one.name, await partitionsOf(topic, one), one.settings))
    if (commands.length > 0)
      throw new MessagingError(
        'not-found',
        `topics beside ${topic} are not there; run: ${commands.join('; ')} (or connect with topology 'declare')`,
      )
  }
  return {
    mode,
    async declare(spec) {
      names.map(spec.name, spec.on)
      if (mode === 'none') return
      const name = names.topic(spec.name)
      const retention: Readonly<Record<string, string>> =
        spec.retentionMs === undefined ? {} : { 'retention.ms': String(spec.retentionMs) }
      try {
        if (!(await cluster.exists(name))) {
          const mapped = (spec.on as KafkaMapping | undefined)?.topic !== undefined
          if (mode === 'check' || mapped)
            throw new MessagingError(
              'not-found',
              `topic ${name} does not exist; run: ${creating(name, spec.partitions, retention)}${mapped ? '' : " (or connect with topology 'declare')"}`,
            )
          await make(name, spec.partitions, retention)
        }
        await verify(spec, await cluster.topic(name))
      } catch (error) {
        throw messagingError(error, `topic ${name} could not be declared`)
      }
    },
    async beside(topic, one) {
      if (mode !== 'declare') {
        await verifyAll(topic, [one])
        return false
      }
      if (await cluster.exists(one.name)) return false
      return make(one.name, await partitionsOf(topic, one), one.settings)
    },
    verify: verifyAll,
  }
}

/** The command that makes a topic. */
function creating(topic: string, partitions: number, settings: Readonly<Record<string, string>>): string {
  const configs = Object.entries(settings).map(([name, value]) => ` --config ${name}=${value}`)
  return `kafka-topics.sh --create --topic ${topic} --partitions ${partitions}${configs.join('')}`
}

/** The command that changes a topic's setting. */
function altering(topic: string, setting: string, value: number): string {
  return `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${setting}=${value}`
}

/** The broker's own pace, not a clock of ours. */
const later = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms))
