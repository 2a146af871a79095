// Looks through a queue that nobody consumes, and leaves it as it was but for what is taken out.
import { type Clock, mailbox, pause } from '@posthorn/core/driver'
import type { Channel, ConsumeMessage, Message } from 'amqplib'
import { type Link, within } from './connection.ts'
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
export async function* lookThrough({ link, clock, queue, about }: Looking, signal: AbortSignal): AsyncGenerator<Entry> {
  const model = await link.model()
  const [channel, watch] = await Promise.all([model.createChannel(), model.createChannel()]).catch((error: unknown) => {
    throw translated(error, about)
  })
  watch.on('error', () => {})
  const held = new Set<Entry>()
  try {
    for await (const message of looked(channel, watch, queue, clock, about, signal)) {
      const entry: Entry = { channel, message, removed: false }
      held.add(entry)
      yield entry
    }
  } finally {
    // Everything that was not removed goes back to its place; who looks next shall find it there.
    let back = 0
    for (const { removed } of held) if (!removed) back++
    await within(
      returned(channel, watch, queue, back, clock).catch(() => {}),
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

/** What lies in the queue as of now, oldest first, in chunks, without acknowledging. */
async function* looked(
  channel: Channel,
  watch: Channel,
  queue: string,
  clock: Clock,
  about: string,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  const box = mailbox<ConsumeMessage>()
  let why: unknown
  channel.on('error', (error) => {
    why = error
  })
  channel.on('close', () => box.fail(why === undefined ? gone(about) : translated(why, about)))
  const came = (message: ConsumeMessage | null): void => {
    if (message === null) box.fail(gone(`${about}: the queue was removed`))
    else box.push(message)
  }
  const others = (consumers: number): Promise<number> => free(watch, queue, consumers, clock, about, signal)
  let left = await others(0)
  let consumers = 0
  for (let inChunk = chunk; left > 0; ) {
    if (inChunk === chunk) {
      inChunk = 0
      consumers++
      await channel.prefetch(chunk)
      await channel.consume(queue, came)
    }
    const messages = await took(box, Math.min(left, chunk - inChunk), clock, signal)
    if (signal.aborted) throw aborted(about, signal)
    if (messages.length === 0 && (await others(consumers)) === 0) return
    for (const message of messages) yield message
    left -= messages.length
    inChunk += messages.length
  }
}

/** How many lie there and are in nobody's hands; waits for a while for others who look, too. Nothing is not said of a queue that they hold. */
async function free(
  watch: Channel,
  queue: string,
  consumers: number,
  clock: Clock,
  about: string,
  signal: AbortSignal,
): Promise<number> {
  const until = clock.now() + othersMs
  for (;;) {
    const { messageCount, consumerCount } = await watch.checkQueue(queue)
    if (messageCount > 0 || consumerCount <= consumers) return messageCount
    if (clock.now() >= until) throw heldByOthers(about, queue)
    if (!(await pause(clock, lookAgainMs, signal))) return 0
  }
}

/** Gives everything back and waits until it is seen there. */
async function returned(channel: Channel, watch: Channel, queue: string, back: number, clock: Clock): Promise<void> {
  await channel.close()
  while (back > 0 && (await watch.checkQueue(queue)).messageCount < back) await pause(clock, lookAgainMs)
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
