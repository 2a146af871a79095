import type { Clock, DriverLag, Letter, Shelf, ShelvedLetter } from '@posthorn/core/driver'
import { decodeHeaders, mailbox, pause, wireNames } from '@posthorn/core/driver'
import type { Channel, ConsumeMessage, Message } from 'amqplib'
import { type Link, within } from './connection.ts'
import { arrivalOf } from './convert.ts'
import { aborted, gone, translated } from './errors.ts'
import type { Names } from './names.ts'
import { closeQuietly, flushed } from './topology.ts'

/** What a shelf lies in. */
export interface ShelfPlace {
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  readonly topic: string
  readonly group: string | undefined
  /** Makes the queue where it may. */
  prepare(signal: AbortSignal): Promise<void>
}

/** How many letters are on the way at once. A consumer with nothing acknowledged stops there, so each chunk gets a consumer of its own. */
const chunk = 500
/** A listing ends when nothing came for so long and the queue says it is empty. */
const silenceMs = 1_000

/** How long a listing waits for another that has everything in its hands, and for the broker to take back what was looked at. */
const othersMs = 5_000
const backMs = 1_500
const lookAgainMs = 20
/** So many acknowledgements a channel passes on at once. */
const few = 10

interface Entry {
  readonly channel: Channel
  readonly message: Message
  /** Acknowledging twice would close the channel. */
  removed: boolean
}

/** A shelf of dead letters: a queue that nobody consumes, looked through without acknowledging, and left as it was. */
export function shelfIn(place: ShelfPlace): Shelf {
  const { link, names, topic, group } = place
  const queue = names.shelf(topic, group)
  const about = `the dead letters of ${topic}${group === undefined ? '' : ` for group ${group}`}`
  return {
    async *list(signal) {
      if (signal.aborted) throw aborted(about, signal)
      await place.prepare(signal)
      const model = await link.model()
      const [channel, watch] = await Promise.all([model.createChannel(), model.createChannel()]).catch(
        (error: unknown) => {
          throw translated(error, about)
        },
      )
      watch.on('error', () => {})
      const held = new Set<Entry>()
      try {
        for await (const message of looked(channel, watch, queue, place.clock, about, signal)) {
          const entry: Entry = { channel, message, removed: false }
          held.add(entry)
          const found = letterIn(message, place, entry)
          if (found !== undefined) yield found
        }
      } finally {
        // Everything that was not removed goes back to its place; who looks next shall find it there.
        let back = 0
        for (const { removed } of held) if (!removed) back++
        await within(
          returned(channel, watch, queue, back, place.clock).catch(() => {}),
          backMs,
          place.clock,
        )
        closeQuietly(watch)
      }
    },
    async remove(tokens, signal) {
      if (signal.aborted) throw aborted(about, signal)
      const channels = new Set<Channel>()
      for (const token of tokens) {
        const entry = token as Entry
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
        await (tokens.length > few ? flushed(channel, queue) : channel.checkQueue(queue)).catch(() => {})
    },
  }
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
  let left = await free(watch, queue, 0, clock, signal)
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
    if (messages.length === 0 && (await free(watch, queue, consumers, clock, signal)) === 0) return
    for (const message of messages) yield message
    left -= messages.length
    inChunk += messages.length
  }
}

/** How many lie there and are in nobody's hands; waits for a while for others who look, too. */
async function free(
  watch: Channel,
  queue: string,
  consumers: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<number> {
  const until = clock.now() + othersMs
  for (;;) {
    const { messageCount, consumerCount } = await watch.checkQueue(queue)
    if (messageCount > 0 || consumerCount <= consumers || clock.now() >= until) return messageCount
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

/** A message as a letter; undefined where it is another topic's, in the shelf that all topics share. */
function letterIn(message: Message, { names, topic, group }: ShelfPlace, token: unknown): ShelvedLetter | undefined {
  const from = group === undefined ? undefined : topic
  const arrival = arrivalOf(message, { names, topic: from, token, counted: false })
  if (arrival.topic !== topic) return undefined
  const letter = ownLetter(message) ?? brokersLetter(message, arrival.failures)
  return { token, message: arrival, letter, group }
}

function ownLetter({ properties }: Message): Letter | undefined {
  const text: unknown = properties.headers?.['ph-letter']
  return typeof text === 'string' ? decodeHeaders({ [wireNames.letter]: text }).letter : undefined
}

/** What the broker itself took out of a queue, with its cause. */
function brokersLetter({ properties }: Message, attempts: number): Letter {
  const deaths: unknown = properties.headers?.['x-death']
  const last = (Array.isArray(deaths) ? deaths : []).find(
    (each: { readonly queue?: unknown }) => !/(?:^|:)~delay\.\d+$/.test(String(each?.queue)),
  ) as { readonly reason?: unknown; readonly time?: { readonly value?: unknown } } | undefined
  const seconds = last?.time?.value
  const at = typeof seconds === 'number' ? seconds * 1_000 : 0
  if (last === undefined)
    return { reason: 'unroutable', error: 'no group was there when its delay was over', attempts, at }
  const reason = ({ expired: 'expired', maxlen: 'overflow', delivery_limit: 'poison' } as const)[String(last.reason)]
  return { reason: reason ?? 'rejected', error: `the broker took it out: ${String(last.reason)}`, attempts, at }
}

/** What waits in queues that nobody has to consume. Without what is out for delivery: the broker does not tell that by AMQP. */
export async function backlogOf(channel: Channel, queues: readonly string[]): Promise<DriverLag> {
  let backlog = 0
  for (const queue of queues) backlog += (await channel.checkQueue(queue)).messageCount
  return { backlog, oldestMs: undefined, lostInMs: undefined }
}
