// AMQP has no question that lists exchanges or queues: so what we make is written down first, a card for each topic and each group of it.
import type { Ordering } from '@posthorn/core'
import { isMessagingError, pause } from '@posthorn/core/driver'
import type { Declaring } from './declaring.ts'
import { aborted } from './errors.ts'
import { type Entry, lookThrough } from './looking.ts'
import { bookStep, type Step } from './plan.ts'
import { establish, exists, onChannel, onConfirmChannel } from './topology.ts'

/** What is written down. Twice the same is one. */
export interface Card {
  readonly topic: string
  /** How many lanes the topic has. */
  readonly partitions: number
  readonly group?: { readonly name: string; readonly order: Ordering } | undefined
}

/** Writes down what is about to be made, unless it is there already. Where topology belongs to others, nothing is written. */
export async function note(on: Declaring, cards: readonly Card[], signal: AbortSignal): Promise<void> {
  const { writes, context, names } = on
  if (context.topology !== 'declare') return
  const missing = await unmade(on, cards, signal)
  if (missing.length === 0) return
  const about = 'writing down topics'
  await onConfirmChannel(writes, context.clock, about, signal, async (channel) => {
    await establish(channel, [bookStep(names)], 'declare', about)
    do {
      for (const card of missing)
        channel.sendToQueue(names.book, Buffer.from(JSON.stringify(card)), { persistent: true })
      if (await channel.waitForConfirms().then(yes, no)) return
      // A queue that another connection is just making is there before it takes anything. On a channel that has ended the next write throws.
    } while (await pause(context.clock, againMs, signal))
    throw aborted(about, signal)
  })
}

const yes = (): boolean => true
const no = (): boolean => false
const againMs = 50

/** From the first on that is not there: what is asked for in vain closes the channel, and a card too many does no harm. */
async function unmade(
  { link, context, names }: Declaring,
  cards: readonly Card[],
  signal: AbortSignal,
): Promise<readonly Card[]> {
  let seen = 0
  const about = 'looking for topics and groups'
  try {
    await onChannel(link, context.clock, about, signal, async (channel) => {
      for (const { topic, group } of cards) {
        const mark: Step = { do: 'exchange', name: names.agreed(topic, group?.name), type: '' }
        await establish(channel, [mark], 'check', about)
        seen++
      }
    })
  } catch (error) {
    if (!isMessagingError(error, 'not-found')) throw error
  }
  return cards.slice(seen)
}

/** Every card, the oldest first; an entry can be taken out as long as the iteration lasts. */
export async function* cardsOf(
  { link, context, names }: Declaring,
  signal: AbortSignal,
): AsyncGenerator<{ readonly card: Card; readonly entry: Entry }> {
  const looking = { link, clock: context.clock, queue: names.book, about: 'the list of topics' }
  for await (const entry of lookThrough(looking, signal))
    yield { card: JSON.parse(entry.message.content.toString('utf8')) as Card, entry }
}

/** All that is written down, the oldest first. */
export async function written(on: Declaring, signal: AbortSignal): Promise<readonly Card[]> {
  if (!(await exists(on, bookStep(on.names), signal))) return []
  const cards: Card[] = []
  for await (const { card } of cardsOf(on, signal)) cards.push(card)
  return cards
}
