// Looks through a queue that nobody consumes, and leaves it as it was but for what is taken out.
import { type Clock, type Mailbox, mailbox, pause, within } from '@posthorn/core/driver'
import type { Channel, ChannelModel, ConsumeMessage, Message } from 'amqplib'
import type { Link } from './connection.ts'
import { aborted, gone, heldByOthers, translated } from './errors.ts'
import { closeQuietly, flushed } from './topology.ts'

/** How many messages are on the way at once. A consumer with nothing acknowledged stops there, so each chunk gets a consumer of its own. */
const chunk = 500
/** A listing ends when nothing came for so long and the queue says it is empty. */
const silenceMs = 1_000

/** How long a listing waits for another that has everything in its hands, and for the broker to take back what was looked at. */
const othersMs = 15_000
const backMs = 1_500
const lookAgainMs = 20
/** So many acknowledgements a channel passes on at once. */
const few = 10

/** A message that is looked at. */
export interface Entry {
  readonly channel: Channel
  readonly message: Message
  /** Acknowledging twice would close the channel. */
  removed: boolean
}

/** What is looked through. */
export interface Looking {
  readonly link: Link
  readonly clock: Clock
  readonly queue: string
  /** For errors. */
  readonly about: string
}

/** What lies in the queue, oldest first, as of now. What was not taken out is back in its place when the iteration has ended. */
export async function* lookThrough(on: Looking, signal: AbortSignal): AsyncGenerator<Entry> {
  const { link, clock, queue } = on
  const model = await link.model()
  const watch = await channelOf(model, on)
  watch.on('error', () => {})
  const held = new Set<Entry>()
  let hand: Hand | undefined
  try {
    hand = await alone(model, watch, on, signal)
    if (hand === undefined) return
    for await (const message of looked(hand, watch, on, signal)) {
      const entry: Entry = { channel: hand.channel, message, removed: false }
      held.add(entry)
      yield entry
    }
  } finally {
    // Everything that was not removed goes back to its place; who looks next shall find it there.
    let back = 0
    for (const { removed } of held) if (!removed) back++
    if (hand !== undefined)
      await within(
        returned(hand.channel, watch, queue, back, clock).catch(() => {}),
        backMs,
        clock,
      )
    closeQuietly(watch)
  }
}

/** Takes these out for good; resolves when the broker has read so. What is out already is no error. */
export async function takeOut(entries: readonly Entry[], queue: string): Promise<void> {
  const channels = new Set<Channel>()
  for (const entry of entries) {
    if (entry.removed) continue
    entry.removed = true
    try {
      entry.channel.ack(entry.message)
      channels.add(entry.channel)
    } catch {
      // The iteration has ended: the token is gone, which is no error.
    }
  }
  // An answer on the channel means that the broker has read what was written before it; many go on from there by and by.
  for (const channel of channels)
    await (entries.length > few ? flushed(channel, queue) : channel.checkQueue(queue)).catch(() => {})
}

/** Who looks: its consumer has the first chunk of what lay there. */
interface Hand {
  readonly channel: Channel
  readonly box: Mailbox<ConsumeMessage>
  readonly left: number
}

/**
 * Begins to look, once nobody else does. Of two who begin at the same moment the first gets all, and the other, who sees that somebody is there,
 * comes again after a while of chance: if both stayed, each would wait for what the other holds. Undefined: nothing is there.
 */
async function alone(model: ChannelModel, watch: Channel, on: Looking, signal: AbortSignal): Promise<Hand | undefined> {
  const { clock, queue, about } = on
  for (const until = clock.now() + othersMs; ; ) {
    const { channel, box } = await readyHand(model, on)
    // Nothing is asked between this and the consumer: what comes between them makes two who look.
    const left = await free(watch, on, 0, until, signal).catch(async (error: unknown) => {
      closeQuietly(channel)
      throw error
    })
    if (left > 0) {
      await consumeMore({ channel, box }, on)
      // The answer comes behind what the consumer was given at once.
      const { consumerCount } = await channel.checkQueue(queue)
      if (consumerCount === 1 || box.size >= Math.min(left, chunk)) return { channel, box, left }
    }
    await channel.close()
    if (left === 0) return undefined
    if (clock.now() >= until) throw heldByOthers(about, queue)
    await pause(clock, someTime(), signal)
  }
}

/** Who waits for another waits for a while of chance, so that two who wait do not come at the same moment. */
const someTime = (): number => lookAgainMs * (1 + 4 * Math.random())

async function readyHand(model: ChannelModel, on: Looking): Promise<Pick<Hand, 'channel' | 'box'>> {
  const channel = await channelOf(model, on)
  const box = mailbox<ConsumeMessage>()
  let why: unknown
  channel.on('error', (error) => {
    why = error
  })
  channel.on('close', () => box.fail(why === undefined ? gone(on.about) : translated(why, on.about)))
  await channel.prefetch(chunk)
  return { channel, box }
}

function channelOf(model: ChannelModel, { about }: Looking): Promise<Channel> {
  return model.createChannel().catch((error: unknown) => {
    throw translated(error, about)
  })
}

async function consumeMore({ channel, box }: Pick<Hand, 'channel' | 'box'>, { queue, about }: Looking): Promise<void> {
  await channel.consume(queue, (message) => {
    if (message === null) box.fail(gone(`${about}: the queue was removed`))
    else box.push(message)
  })
}

/** What lies in the queue as of now, oldest first, in chunks, without acknowledging. */
async function* looked(hand: Hand, watch: Channel, on: Looking, signal: AbortSignal): AsyncGenerator<Message> {
  const { clock, about } = on
  let { left } = hand
  let consumers = 1
  for (let inChunk = 0; left > 0; ) {
    if (inChunk === chunk) {
      inChunk = 0
      consumers++
      await consumeMore(hand, on)
    }
    const messages = await took(hand.box, Math.min(left, chunk - inChunk), clock, signal)
    if (signal.aborted) throw aborted(about, signal)
    if (messages.length === 0) {
      const there = await free(watch, on, consumers, clock.now() + othersMs, signal)
      if (there === 0 && hand.box.size === 0) return
    }
    for (const message of messages) yield message
    left -= messages.length
    inChunk += messages.length
  }
}

/** How many lie there and are in nobody's hands; waits for a while for others who look, too. Nothing is not said of a queue that they hold. */
async function free(
  watch: Channel,
  { queue, clock, about }: Looking,
  consumers: number,
  until: number,
  signal: AbortSignal,
): Promise<number> {
  for (;;) {
    const { messageCount, consumerCount } = await watch.checkQueue(queue)
    if (messageCount > 0 || consumerCount <= consumers) return messageCount
    if (clock.now() >= until) throw heldByOthers(about, queue)
    if (!(await pause(clock, someTime(), signal))) return 0
  }
}

/** Gives everything back and waits until it is seen there, or in the hands of the next who looks. */
async function returned(channel: Channel, watch: Channel, queue: string, back: number, clock: Clock): Promise<void> {
  await channel.close()
  while (back > 0) {
    const { messageCount, consumerCount } = await watch.checkQueue(queue)
    if (messageCount >= back || consumerCount > 0) return
    await pause(clock, lookAgainMs)
  }
}

async function took<T>(
  box: { take(max: number, signal: AbortSignal): Promise<T[]> },
  max: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<T[]> {
  const silence = new AbortController()
  const cancel = clock.after(silenceMs, () => silence.abort(), { unref: true })
  try {
    return await box.take(max, AbortSignal.any([signal, silence.signal]))
  } finally {
    cancel()
  }
}
