import type { DriverContext, GroupSpec, PatternSpec, TopicSpec } from '@posthorn/core/driver'
import { isMessagingError, MessagingError } from '@posthorn/core/driver'
import type { Channel } from 'amqplib'
import { type Card, note } from './book.ts'
import type { Link } from './connection.ts'
import { divided, mostAbreast } from './divided.ts'
import { firstLevel } from './ladder.ts'
import type { Names } from './names.ts'
import { mappingOf, type RabbitMapping, type RabbitSettings } from './options.ts'
import {
  type GroupPlan,
  groupPlan,
  levelPlan,
  mappedPlan,
  namespacePlan,
  patternPlan,
  queuesOf,
  type Step,
  shelfStep,
  topicPlan,
} from './plan.ts'
import { type Heard, heard, listen } from './readers.ts'
import type { Need, Routes } from './routes.ts'
import { establish, exists, onChannel } from './topology.ts'

/** What is needed to make things on the broker and to remember them. */
export interface Declaring {
  readonly link: Link
  /** For what is published on the way: never the connection that deliveries come by, which the broker would block with it. */
  readonly writes: Link
  readonly names: Names
  readonly routes: Routes
  readonly settings: RabbitSettings
  readonly context: DriverContext
  /** Of the broker, its first number. */
  readonly version: number
}

/** Makes or verifies a topic and the groups that it names. */
export async function declareTopic(on: Declaring, spec: TopicSpec, signal: AbortSignal): Promise<void> {
  const { names, routes, context } = on
  const mapping = mappingOf(spec.on, spec.name)
  if (mapping === undefined) await note(on, [cardOf(spec), ...spec.groups.map((group) => cardOf(spec, group))], signal)
  await onChannel(on.link, context.clock, `declaring topic ${spec.name}`, signal, async (channel) => {
    const about = `topic ${spec.name}`
    await establish(channel, namespacePlan(names), context.topology, about)
    if (mapping === undefined)
      await establish(channel, topicPlan(names, spec.name, spec.partitions), context.topology, about)
    else await verify(channel, mapping, context.topology, about)
    await establishGroups(on, channel, spec, mapping, signal)
  })
  if (mapping === undefined) await heard(on, heardOf(spec, spec.groups.length > 0), signal)
  routes.addTopic(spec, mapping)
}

/** Groups that are worth another channel. */
const groupsEach = 4

/** All groups that the topic names, hundreds of them on several channels. */
async function establishGroups(
  on: Declaring,
  channel: Channel,
  spec: TopicSpec,
  mapping: RabbitMapping | undefined,
  signal: AbortSignal,
): Promise<void> {
  const some = async (own: Channel, groups: Iterable<GroupSpec>): Promise<void> => {
    for (const { name, order, filter } of groups)
      await establishGroup(on, own, spec, mapping, planOf(spec, name, order, filter))
  }
  /** Where there is no further channel, those that there are do it. */
  const beside = async (groups: Iterable<GroupSpec>): Promise<void> => {
    let begun = false
    await onChannel(on.link, on.context.clock, `declaring the groups of ${spec.name}`, signal, (own) => {
      begun = true
      return some(own, groups)
    }).catch((error: unknown) => {
      if (begun) throw error
    })
  }
  const others = Math.min(mostAbreast, Math.ceil(spec.groups.length / groupsEach)) - 1
  await divided(spec.groups, [(groups) => some(channel, groups), ...Array.from({ length: others }, () => beside)])
}

/** Looks whether what a mapping names is there, without touching it. */
async function verify(
  channel: Channel,
  { exchange, queue, stream }: RabbitMapping,
  topology: DriverContext['topology'],
  about: string,
): Promise<void> {
  const mode = topology === 'none' ? 'none' : 'check'
  if (exchange !== undefined && exchange !== '')
    await establish(channel, [{ do: 'exchange', name: exchange, type: '' }], mode, about)
  const read = queue ?? stream
  if (read !== undefined) await establish(channel, [{ do: 'queue', name: read, args: {} }], mode, about)
}

const cardOf = ({ name, partitions }: TopicSpec, group?: Pick<GroupSpec, 'name' | 'order'>): Card => ({
  topic: name,
  partitions,
  group: group === undefined ? undefined : { name: group.name, order: group.order },
})

const heardOf = ({ name, partitions }: TopicSpec, grouped: boolean): Heard => ({ topic: name, partitions, grouped })

const planOf = (spec: TopicSpec, group: string, order: GroupPlan['order'], filter: GroupPlan['filter']): GroupPlan => ({
  topic: spec.name,
  group,
  order,
  partitions: spec.partitions,
  filter,
  priority: spec.priority,
})

/** Makes or verifies a group that reads, and gives its queues. */
export async function declareGroup(
  on: Declaring,
  source: TopicSpec | PatternSpec,
  group: string,
  order: GroupPlan['order'],
  filter: GroupPlan['filter'],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { names, settings, context, routes } = on
  const name = 'pattern' in source ? source.pattern : source.name
  if ('name' in source && mappingOf(source.on, name) === undefined)
    await note(on, [cardOf(source, { name: group, order })], signal)
  if ('pattern' in source) await listen(on, signal)
  const about = `declaring group ${group} of ${name}`
  const queues = await onChannel(on.link, context.clock, about, signal, async (channel) => {
    if ('name' in source)
      return establishGroup(on, channel, source, mappingOf(source.on, name), planOf(source, group, order, filter))
    const plan: GroupPlan = { topic: name, group, order, partitions: 1, filter, priority: undefined }
    await establish(channel, patternPlan(names, plan, settings), context.topology, `group ${group} of pattern ${name}`)
    const queue = names.queue(name, group)
    routes.addPatternGroup(name, group, queue)
    return [queue]
  })
  if ('name' in source && mappingOf(source.on, name) === undefined) await heard(on, heardOf(source, true), signal)
  return queues
}

async function establishGroup(
  { names, settings, context, routes }: Declaring,
  channel: Channel,
  spec: TopicSpec,
  mapping: RabbitMapping | undefined,
  plan: GroupPlan,
): Promise<readonly string[]> {
  const about = `group ${plan.group} of topic ${spec.name}`
  if (mapping?.stream !== undefined)
    throw new MessagingError(
      'unsupported',
      `${about}: members of a group cannot share the stream ${mapping.stream}; read it with mode: 'broadcast', each for itself`,
    )
  const queues = mapping === undefined ? queuesOf(names, plan) : [mapping.queue ?? names.queue(plan.topic, plan.group)]
  const steps = mapping === undefined ? groupPlan(names, plan, settings) : mappedPlan(names, plan, mapping, settings)
  await establish(channel, steps, context.topology, about)
  routes.addGroup(plan.topic, plan.group, queues)
  routes.addShelf(plan.topic, plan.group)
  return queues
}

/** Makes, or finds out, what a message cannot be placed without. */
export async function provide(on: Declaring, need: Need, signal: AbortSignal): Promise<void> {
  const { names, routes, context, link } = on
  if (need.need === 'level') return provideLadder(on, need.level, signal)
  const { topic, group } = need
  if (need.need === 'shelf') {
    const steps = [shelfStep(names.shelf(topic, group))]
    await onChannel(link, context.clock, `declaring the dead letters of ${topic}`, signal, (channel) =>
      establish(channel, steps, context.topology, `the dead letters of ${topic} for group ${group}`),
    )
    routes.addShelf(topic, group)
    return
  }
  const single = names.queue(topic, group)
  if (await exists(on, { do: 'queue', name: single, args: {} }, signal)) return routes.addGroup(topic, group, [single])
  const lanes = Array.from({ length: need.partitions }, (_, lane) => names.lane(topic, group, lane))
  if (await exists(on, { do: 'queue', name: lanes[0] as string, args: {} }, signal))
    return routes.addGroup(topic, group, lanes)
  // A group of a pattern that is read elsewhere, or none: the bindings of the delivery exchange know.
  routes.addGroup(topic, group, 'delivery')
}

/**
 * Makes the levels up to this one, some at once: what waits for them is late by as long as it takes. Those that a client made on a broker
 * before 4.0, or will, stay as they are.
 */
async function provideLadder(on: Declaring, top: number, signal: AbortSignal): Promise<void> {
  const { names, routes, context } = on
  const about = 'the delay ladder'
  const steps = (plan: readonly Step[]): Promise<void> =>
    onChannel(on.link, context.clock, `declaring ${about}`, signal, (channel) =>
      establish(channel, plan, context.topology, about),
    )
  await steps(namespacePlan(names))
  let tended = on.version >= 4
  const make = async (level: number): Promise<void> => {
    const first = tended
    try {
      await steps(levelPlan(names, level, first))
    } catch (error) {
      if (!isMessagingError(error, 'invalid')) throw error
      await steps(levelPlan(names, level, !first))
      tended = !first
    }
  }
  const levels = Array.from({ length: top - firstLevel + 1 }, (_, n) => firstLevel + n)
  const missing = new Set(levels)
  const some = async (next: Iterable<number>): Promise<void> => {
    for (const level of next) {
      await make(level)
      missing.delete(level)
    }
  }
  await divided(levels, new Array(Math.min(mostAbreast, levels.length)).fill(some)).catch((error: unknown) => {
    if (!isMessagingError(error, 'unavailable')) throw error
  })
  // Where there are no channels for some at once, one after the other.
  await some(missing)
  // A message goes down through all that are below.
  for (const level of levels) routes.addLevel(level)
}
