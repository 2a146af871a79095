// What topics, groups and delays need on the broker, as data: made by `topology.ts`, listed in docs/brokers/rabbitmq.md.

import { createHash } from 'node:crypto'
import type { Filter, Ordering } from '@posthorn/core'
import { firstLevel, levelHeader } from './ladder.ts'
import type { Names } from './names.ts'
import type { RabbitMapping, RabbitSettings } from './options.ts'

/** One thing that must be there. Steps are in the order in which they must be made. */
export type Step =
  | {
      readonly do: 'exchange'
      readonly name: string
      readonly type: string
      readonly open?: boolean
      readonly args?: Args
    }
  | { readonly do: 'queue'; readonly name: string; readonly args: Args }
  | { readonly do: 'bind'; readonly queue: string; readonly to: string; readonly key: string; readonly args?: Args }
  | { readonly do: 'link'; readonly exchange: string; readonly to: string; readonly key: string }
type Exchange = Extract<Step, { readonly do: 'exchange' }>
/** That a queue, or another exchange, gets what an exchange gets. */
export type Binding = Extract<Step, { readonly do: 'bind' | 'link' }>
type Args = Readonly<Record<string, unknown>>

/** As good as none, on every version; -1 is not understood by all. Ours is far below, and the shelf is behind it. */
const noDeliveryLimit = 1_000_000_000

const quorum: Args = { 'x-queue-type': 'quorum', 'x-delivery-limit': noDeliveryLimit }

/** What is there once per namespace. */
export function namespacePlan({ delivery, unroutable }: Names): readonly Step[] {
  return [
    { do: 'exchange', name: unroutable, type: 'fanout', open: true },
    { do: 'queue', name: unroutable, args: quorum },
    { do: 'bind', queue: unroutable, to: unroutable, key: '' },
    { do: 'exchange', name: delivery, type: 'topic', open: true, args: { 'alternate-exchange': unroutable } },
  ]
}

/** Where topics and groups are written down. */
export function bookStep({ book }: Names): Extract<Step, { readonly do: 'queue' }> {
  return { do: 'queue', name: book, args: quorum }
}

/** An exchange that gets no message: its alternate says what all who use the topic or group must agree on, and the broker compares it. */
function agreement(names: Names, text: string, topic: string, group?: string): Step {
  return { do: 'exchange', name: names.agreed(topic, group), type: 'fanout', args: { 'alternate-exchange': text } }
}

/** What a topic needs whoever reads it. */
export function topicPlan(names: Names, topic: string, partitions: number): readonly Step[] {
  const late = names.late(topic)
  return [
    agreement(names, `partitions=${partitions}`, topic),
    { do: 'exchange', name: names.topic(topic), type: 'direct', open: true },
    { do: 'exchange', name: late, type: 'topic', args: { 'alternate-exchange': names.unroutable } },
    { do: 'link', exchange: late, to: names.delivery, key: names.key(topic, '*') },
  ]
}

/** What feeds readers that are no group. Made by the first of them: the broker pays for it with each message of each topic. */
export function feedStep({ all }: Names): Exchange {
  return { do: 'exchange', name: all, type: 'topic' }
}

/** Where whoever declares asks whether there are such readers. */
export function askingStep({ readers }: Names): Exchange {
  return { do: 'exchange', name: readers, type: 'fanout', open: true }
}

/** By which they hear that there are. */
export function readingPlan(names: Names): readonly [Extract<Step, { readonly do: 'queue' }>, Binding] {
  const queue = names.readers
  return [
    { do: 'queue', name: queue, args: { ...quorum, 'x-max-length': 1 } },
    { do: 'bind', queue, to: names.readers, key: '' },
  ]
}

/** Says that what was there before the first reader is linked. */
export function linkedStep({ linked }: Names): Exchange {
  return { do: 'exchange', name: linked, type: 'fanout' }
}

/**
 * How readers that are no group get a topic's messages: what was delayed always, the rest only once it has a group. They get no more than
 * a group gets, so they never make a send count as routed.
 */
export function readersPlan(names: Names, topic: string, partitions: number, grouped: boolean): readonly Binding[] {
  const exchange = names.all
  return [
    { do: 'link', exchange, to: names.delivery, key: names.key(topic, '*') },
    ...(grouped ? laneKeys(names, topic, partitions) : []).map(
      (key) => ({ do: 'link', exchange, to: names.topic(topic), key }) as const,
    ),
  ]
}

function laneKeys(names: Names, topic: string, partitions: number): readonly string[] {
  return Array.from({ length: partitions }, (_, lane) => names.key(topic, lane))
}

/** A group of a topic. */
export interface GroupPlan {
  readonly topic: string
  readonly group: string
  readonly order: Ordering
  readonly partitions: number
  readonly filter: Filter | undefined
  readonly priority: number | undefined
}

/** The queues of a group, one per lane where it is ordered. */
export function queuesOf(names: Names, { topic, group, order, partitions }: GroupPlan): readonly string[] {
  if (order === 'none') return [names.queue(topic, group)]
  return Array.from({ length: partitions }, (_, lane) => names.lane(topic, group, lane))
}

/** What a group of a topic of ours needs. */
export function groupPlan(names: Names, plan: GroupPlan, settings: RabbitSettings): readonly Step[] {
  const { topic, group, order } = plan
  const shelf = names.shelf(topic, group)
  const late = names.late(topic)
  const steps: Step[] = [agreement(names, agreed(plan), topic, group), shelfStep(shelf)]
  const queues = queuesOf(names, plan)
  for (const [lane, queue] of queues.entries()) {
    steps.push({ do: 'queue', name: queue, args: groupQueue(settings, plan, shelf) })
    steps.push({ do: 'bind', queue, to: late, key: order === 'none' ? '#' : `${lane}.#` })
    steps.push({
      do: 'bind',
      queue,
      to: names.delivery,
      key: names.groupKey(topic, group, order === 'none' ? '*' : lane),
    })
  }
  if (order !== 'none') steps.push({ do: 'exchange', name: names.members(topic, group), type: 'fanout', open: true })
  return [...steps, ...groupBindings(names, plan)]
}

/** What brings a topic's messages into the queues of a group. */
export function groupBindings(names: Names, plan: GroupPlan): readonly Binding[] {
  const { topic, partitions } = plan
  const queues = queuesOf(names, plan)
  return laneKeys(names, topic, partitions).map(
    (key, lane) =>
      ({ do: 'bind', queue: queues[lane % queues.length] as string, to: names.topic(topic), key }) as const,
  )
}

/** What a group of a pattern needs: one queue, fed with every topic that matches, also later ones. */
export function patternPlan(names: Names, plan: GroupPlan, settings: RabbitSettings): readonly Step[] {
  const { topic: pattern, group } = plan
  const queue = names.queue(pattern, group)
  return [
    agreement(names, agreed(plan), pattern, group),
    // Which topic's shelf it would be is not known here.
    { do: 'queue', name: queue, args: groupQueue(settings, plan, undefined, names.unroutable) },
    { do: 'bind', queue, to: names.all, key: names.key(pattern, '*') },
    { do: 'bind', queue, to: names.delivery, key: names.groupKey(pattern, group, '*') },
  ]
}

/** What a group needs that reads what somebody else owns: a shelf, the way back of delayed retries, a queue if it has none. */
export function mappedPlan(
  names: Names,
  plan: GroupPlan,
  mapping: RabbitMapping,
  settings: RabbitSettings,
): readonly Step[] {
  const { topic, group } = plan
  const shelf = names.shelf(topic, group)
  const queue = mapping.queue ?? names.queue(topic, group)
  const steps: Step[] = [shelfStep(shelf)]
  if (mapping.queue === undefined && mapping.exchange !== undefined) {
    steps.push(agreement(names, agreed(plan), topic, group))
    steps.push({ do: 'queue', name: queue, args: groupQueue(settings, plan, shelf) })
    steps.push(mappedBinding(queue, mapping, mapping.exchange))
  }
  steps.push({ do: 'bind', queue, to: names.delivery, key: names.groupKey(topic, group, '*') })
  return steps
}

/** How a queue of ours hangs on an exchange of somebody else. */
export function mappedBinding(
  queue: string,
  { routingKey = '', type, headers }: RabbitMapping,
  exchange: string,
): Extract<Step, { readonly do: 'bind' }> {
  const args = type === 'headers' ? { 'x-match': 'all', ...headers } : undefined
  return { do: 'bind', queue, to: exchange, key: routingKey, ...(args === undefined ? {} : { args }) }
}

/** A shelf of dead letters. */
export function shelfStep(name: string): Step {
  return { do: 'queue', name, args: quorum }
}

/**
 * Levels up to here (a day and a half) are tended by the broker, see `levelPlan`: each look is an entry in the queue's log, which is kept as long
 * as the oldest message, so the levels above, where a message lies for days, would gather hundreds of megabytes.
 */
const lastTended = 27

/**
 * One level of the delay ladder; the levels below it must be there. `tended` says that there is no delivery limit (nobody consumes here) by -1:
 * RabbitMQ from 4.0 on then applies the queue's settings anew every five seconds, and with them tries again what found no way out of the level
 * while it started, instead of after three minutes (decision 23). Those before refuse it.
 */
export function levelPlan(names: Names, level: number, tended: boolean): readonly Step[] {
  const name = names.level(level)
  const below = level === firstLevel ? names.delivery : names.level(level - 1)
  return [
    { do: 'exchange', name, type: 'headers', open: true, args: { 'alternate-exchange': below } },
    {
      do: 'queue',
      name,
      args: {
        ...quorum,
        ...(tended && level <= lastTended ? { 'x-delivery-limit': -1 } : {}),
        'x-message-ttl': 2 ** level,
        'x-dead-letter-exchange': below,
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
      },
    },
    { do: 'bind', queue: name, to: name, key: '', args: { 'x-match': 'all', [levelHeader(level)]: true } },
  ]
}

/** A classic queue keeps messages apart up to here, and takes what is higher for this. */
const highestPriority = 9

/** Arguments of a group's queue: what the broker takes out of it goes on the shelf, or with its routing key to `lost`. */
function groupQueue(settings: RabbitSettings, plan: GroupPlan, shelf: string | undefined, lost = ''): Args {
  const { queueType, maxLength, overflow, queueArguments } = settings
  return {
    ...(queueType === 'quorum'
      ? // What is pushed out is dead-lettered at most once: the broker does not wait for room elsewhere then.
        { ...quorum, 'x-dead-letter-strategy': overflow === 'reject' ? 'at-least-once' : 'at-most-once' }
      : { 'x-queue-type': 'classic' }),
    ...(queueType === 'classic' && plan.priority !== undefined ? { 'x-max-priority': highestPriority } : {}),
    'x-dead-letter-exchange': lost,
    ...(shelf === undefined ? {} : { 'x-dead-letter-routing-key': shelf }),
    'x-overflow': overflow === 'reject' ? 'reject-publish' : 'drop-head',
    ...(maxLength === undefined ? {} : { 'x-max-length': maxLength }),
    ...(plan.order === 'none' ? {} : { 'x-single-active-consumer': true }),
    ...queueArguments,
  }
}

/** What the members of a group agree on, short enough to be read in an error. */
function agreed({ order, filter }: GroupPlan): string {
  const text = filter === undefined ? 'none' : JSON.stringify(filter)
  return `order=${order}, filter=${text.length <= 80 ? text : createHash('sha256').update(text).digest('hex').slice(0, 16)}`
}
