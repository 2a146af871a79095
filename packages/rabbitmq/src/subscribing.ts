import { type Arrival, type From, MessagingError, type Subscription } from '@posthorn/core/driver'
import type { Channel, Options } from 'amqplib'
import type { Link } from './connection.ts'
import { type Declaring, declareGroup } from './declaring.ts'
import { conflict, translated, unavailable } from './errors.ts'
import { openLanes } from './lanes.ts'
import { mappingOf } from './options.ts'
import { mappedBinding } from './plan.ts'
import { listen } from './readers.ts'
import type { Sender } from './sender.ts'
import type { OpenReading, Reading } from './source.ts'
import { openTap, type Tap, type Token } from './tap.ts'
import { closeQuietly, establish } from './topology.ts'

/** What is needed to read. */
export interface Subscribing {
  readonly declaring: Declaring
  readonly consuming: Link
  readonly sender: Sender
  /** Where readers of streams go on when their connection is lost, by reader and stream. */
  readonly positions: Map<string, From>
}

/** How a subscription is read: its queues made where they may be, and consumed. */
export function readingOf(on: Subscribing, subscription: Subscription, signal: AbortSignal): OpenReading {
  const { mode, order, group, filter, source } = subscription
  return async (arrived, died) => {
    const stream = 'name' in source ? mappingOf(source.on, source.name)?.stream : undefined
    if (mode === 'broadcast' && stream !== undefined) {
      const { channel, consume, passed } = await streamOf(on, subscription, stream, arrived)
      const tap = await tapsOf(on, subscription, 1, passed, died)(stream, channel, consume)
      return { taps: [tap], close: () => tap.close() }
    }
    if (mode !== 'shared') return privately(on, subscription, signal, arrived, died)
    const queues = await declareGroup(on.declaring, source, group, order, filter, signal)
    const tapOn = tapsOf(on, subscription, queues.length, arrived, died)
    const ours = 'name' in source && mappingOf(source.on, source.name) === undefined
    if (order === 'none' || !ours || queues.length === 1) return single(queues[0] as string, tapOn, died)
    return inLanes(on, subscription, queues, tapOn, died)
  }
}

/** One queue. What is handed back under order goes back with everything behind it, by closing and opening again. */
async function single(
  queue: string,
  open: (queue: string) => Promise<Tap>,
  failed: (error: MessagingError) => void,
): Promise<Reading> {
  let tap = await open(queue)
  let over = false
  let turning = Promise.resolve()
  const turn = async (): Promise<void> => {
    await tap.close()
    if (over) return
    tap = await open(queue)
    if (over) await tap.close()
  }
  return {
    get taps() {
      return [tap]
    },
    settled(of) {
      if (of !== tap || of.giving || of.handed > 0 || of.dead) return
      turning = turn().catch((error: unknown) => failed(translated(error, `consuming from queue ${queue}`)))
    },
    async close() {
      over = true
      await turning
      await tap.close()
    },
  }
}

/** How taps of a subscription are opened. */
function tapsOf(
  { consuming, declaring: { names, context, settings } }: Subscribing,
  { source, window, order, mode }: Subscription,
  queues: number,
  arrived: (arrival: Arrival) => void,
  died: (error: MessagingError) => void,
): (queue: string, channel?: Channel, consume?: Options.Consume) => Promise<Tap> {
  const mapped = 'name' in source && mappingOf(source.on, source.name) !== undefined
  // Each queue counts for itself: together they may hold about twice the window, most of it not handed on yet.
  const prefetch = queues === 1 ? window : Math.min(window, Math.max(8, Math.ceil((2 * window) / queues)))
  return async (queue, channel, consume) =>
    openTap({
      channel: channel ?? (await channelOn(consuming, `consuming from queue ${queue}`)),
      clock: context.clock,
      names,
      queue,
      prefetch: Math.min(65_535, Math.max(1, prefetch)),
      topic: 'pattern' in source ? undefined : source.name,
      counted: mode === 'shared' && !mapped && settings.queueType === 'quorum',
      mapped,
      single: mode === 'shared' && order !== 'none',
      own: mode !== 'shared' && consume === undefined,
      ...(consume === undefined ? {} : { consume }),
      arrived,
      died,
    })
}

async function inLanes(
  on: Subscribing,
  { source, group, member }: Subscription,
  queues: readonly string[],
  open: (queue: string) => Promise<Tap>,
  failed: (error: MessagingError) => void,
): Promise<Reading> {
  const { consuming, sender } = on
  const { names, context } = on.declaring
  const topic = 'name' in source ? source.name : source.pattern
  const about = `joining group ${group} of ${topic}`
  const exchange = names.members(topic, group)
  const channel = await channelOn(consuming, about)
  let why: unknown
  channel.on('error', (error) => {
    why = error
  })
  let over = false
  channel.on('close', () => {
    if (!over) failed(unavailable(why, about))
  })
  try {
    const lanes = await openLanes({
      clock: context.clock,
      queues,
      member,
      exchange,
      channel,
      open,
      say: (word) => sender.say(exchange, member, word),
      failed,
    })
    return {
      get taps() {
        return lanes.taps
      },
      settled: lanes.settled,
      async close() {
        over = true
        await lanes.close()
        closeQuietly(channel)
      },
    }
  } catch (error) {
    over = true
    closeQuietly(channel)
    throw translated(error, about)
  }
}

/** A queue of this member alone, gone with it: broadcast and reply addresses. */
async function privately(
  on: Subscribing,
  subscription: Subscription,
  signal: AbortSignal,
  arrived: (arrival: Arrival) => void,
  died: (error: MessagingError) => void,
): Promise<Reading> {
  const { consuming, declaring } = on
  const { names } = declaring
  const { source, group, mode } = subscription
  const name = 'pattern' in source ? source.pattern : source.name
  const queue = mode === 'reply' ? names.address(name) : names.queue(name, group)
  const mapping = 'name' in source ? mappingOf(source.on, name) : undefined
  if (mode === 'broadcast' && mapping?.exchange === undefined) await listen(declaring, signal)
  const channel = await channelOn(consuming, `reading ${name}`)
  channel.on('error', () => {})
  try {
    await channel.assertQueue(queue, { exclusive: true, durable: false, autoDelete: true })
    if (mode === 'broadcast') {
      const binding =
        mapping?.exchange === undefined
          ? ({ do: 'bind', queue, to: names.all, key: names.key(name, '*') } as const)
          : mappedBinding(queue, mapping, mapping.exchange)
      // The queue is ours alone: nobody else can bind it, whoever may declare the rest.
      await establish(channel, [binding], 'declare', `broadcast of ${name}`)
    }
  } catch (error) {
    closeQuietly(channel)
    throw conflict(error, `the queue of ${name} for this process`)
  }
  const tap = await tapsOf(on, subscription, 1, arrived, died)(queue, channel)
  return { taps: [tap], close: () => tap.close() }
}

/** How a stream is read: from where the subscription says, or behind what came before its connection was lost. */
async function streamOf(
  { consuming, positions }: Subscribing,
  { from, member }: Subscription,
  stream: string,
  arrived: (arrival: Arrival) => void,
): Promise<{ readonly channel: Channel; readonly consume: Options.Consume; passed(arrival: Arrival): void }> {
  const reader = `${member}\n${stream}`
  return {
    channel: await channelOn(consuming, `reading stream ${stream}`),
    consume: { arguments: { 'x-stream-offset': offsetOf(positions.get(reader) ?? from) } },
    passed(arrival) {
      const { [offsetHeader]: position, ...headers } = arrival.headers
      if (position !== undefined) positions.set(reader, { position: String(Number(position) + 1) })
      const placed = { ...arrival, headers, position }
      ;(arrival.token as Token).arrival = placed
      arrived(placed)
    },
  }
}

const offsetHeader = 'x-stream-offset'

function offsetOf(from: From): unknown {
  if (from === 'earliest') return 'first'
  if (from === 'latest') return 'next'
  // The broker begins with the chunk that holds that time.
  if ('time' in from) return { '!': 'timestamp', value: Math.floor(from.time / 1_000) }
  if (/^\d{1,15}$/.test(from.position)) return Number(from.position)
  throw new MessagingError('invalid', `from: { position: ${JSON.stringify(from.position)} } is no offset of a stream`)
}

async function channelOn(link: Link, about: string): Promise<Channel> {
  const model = await link.model()
  const channel = await model.createChannel().catch((error: unknown) => {
    throw translated(error, about)
  })
  channel.on('error', () => {})
  return channel
}
