import { isMessagingError, type ListedTopic, MessagingError, noSuchTopic, topicIsRead } from '@posthorn/core/driver'
import { shelfIn } from './admin.ts'
import { type Card, cardsOf, written } from './book.ts'
import type { Declaring } from './declaring.ts'
import { takeOut } from './looking.ts'
import { bookStep, feedStep, type GroupPlan, groupBindings, queuesOf, readersPlan } from './plan.ts'
import { establish, exists, onChannel, unbind } from './topology.ts'

/** Every topic that is written down and there, with its groups. What others made on the broker cannot be known by AMQP. */
export async function topicsIn(on: Declaring, signal: AbortSignal): Promise<readonly ListedTopic[]> {
  const found = new Map<string, { readonly partitions: number; readonly groups: Set<string> }>()
  for (const { topic, partitions, group } of await written(on, signal)) {
    const { groups } = found.get(topic) ?? { groups: new Set<string>() }
    // What was written last is what is there: the one before may have come to nothing.
    found.set(topic, { partitions, groups })
    if (group !== undefined) groups.add(group.name)
  }
  const there: ListedTopic[] = []
  for (const [name, { partitions, groups }] of found)
    if (await exists(on, exchangeOf(on, name), signal)) there.push({ name, partitions, groups: [...groups].sort() })
  return there
}

/**
 * Ends a topic with all that is written down of it. First its exchange, which goes only when nothing that we do not know is bound to it; its
 * cards last, so that a second call finds what the first one left.
 */
export async function removeTopic(on: Declaring, topic: string, signal: AbortSignal): Promise<void> {
  const { names, link, context, routes } = on
  const about = `removing topic ${topic}`
  const cards = (await written(on, signal)).filter((card) => card.topic === topic)
  const there = await exists(on, exchangeOf(on, topic), signal)
  if (cards.length === 0 && !there) throw noSuchTopic(topic, 'RabbitMQ')
  const groups = groupsOf(cards)
  await refuseIfRead(on, topic, groups, signal)
  if (there) await endExchange(on, topic, groups, signal)
  await onChannel(link, context.clock, about, signal, async (channel) => {
    for (const plan of groups) {
      for (const queue of [...queuesOf(names, plan), names.shelf(topic, plan.group), names.marks(topic, plan.group)])
        await channel.deleteQueue(queue)
      for (const exchange of [names.members(topic, plan.group), names.agreed(topic, plan.group)])
        await channel.deleteExchange(exchange)
    }
    for (const exchange of [names.late(topic), names.agreed(topic)]) await channel.deleteExchange(exchange)
  })
  const lost = shelfIn({ link, clock: context.clock, names, topic, group: undefined })
  if (await exists(on, { do: 'queue', name: names.unroutable, args: {} }, signal))
    for await (const { token } of lost.list(signal)) await lost.remove([token], signal)
  await strike(on, topic, signal)
  routes.forget(topic)
}

const exchangeOf = ({ names }: Declaring, topic: string) =>
  ({ do: 'exchange', name: names.topic(topic), type: '' }) as const

/** Takes the cards of a topic out. */
async function strike(on: Declaring, topic: string, signal: AbortSignal): Promise<void> {
  if (!(await exists(on, bookStep(on.names), signal))) return
  for await (const { card, entry } of cardsOf(on, signal))
    if (card.topic === topic) await takeOut([entry], on.names.book)
}

function groupsOf(cards: readonly Card[]): readonly GroupPlan[] {
  const plans = new Map<string, GroupPlan>()
  for (const { topic, partitions, group } of cards) {
    if (group === undefined) continue
    const { name, order } = group
    plans.set(`${partitions} ${order} ${name}`, {
      topic,
      group: name,
      order,
      partitions,
      filter: undefined,
      priority: undefined,
    })
  }
  return [...plans.values()]
}

async function refuseIfRead(
  on: Declaring,
  topic: string,
  groups: readonly GroupPlan[],
  signal: AbortSignal,
): Promise<void> {
  const { names, link, context } = on
  const read = new Set<string>()
  for (const plan of groups)
    for (const queue of queuesOf(names, plan)) {
      if (!(await exists(on, { do: 'queue', name: queue, args: {} }, signal))) continue
      const about = `looking at queue ${queue}`
      const { consumerCount } = await onChannel(link, context.clock, about, signal, (channel) =>
        channel.checkQueue(queue),
      )
      if (consumerCount > 0) read.add(plan.group)
    }
  if (read.size > 0) throw topicIsRead(topic, [...read])
}

/** Unbinds what is ours and ends the exchange; where something else hangs on it, ours is bound again. */
async function endExchange(
  on: Declaring,
  topic: string,
  groups: readonly GroupPlan[],
  signal: AbortSignal,
): Promise<void> {
  const { names, link, context } = on
  const about = `removing topic ${topic}`
  const exchange = names.topic(topic)
  const heard = await exists(on, feedStep(names), signal)
  const bindings = groups.flatMap((plan) => [
    ...groupBindings(names, plan),
    ...(heard ? readersPlan(names, topic, plan.partitions, true).filter(({ to }) => to === exchange) : []),
  ])
  try {
    await onChannel(link, context.clock, about, signal, async (channel) => {
      await unbind(channel, bindings)
      await channel.deleteExchange(exchange, { ifUnused: true })
    })
  } catch (cause) {
    if (!isMessagingError(cause, 'invalid')) throw cause
    await onChannel(link, context.clock, about, signal, (channel) => establish(channel, bindings, 'declare', about))
    throw new MessagingError(
      'invalid',
      `topic ${topic} was not removed: something that is not written down is bound to exchange ${exchange}; unbind it and try again`,
      { cause },
    )
  }
}
