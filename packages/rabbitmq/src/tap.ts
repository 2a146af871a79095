import type { Arrival, Clock, MessagingError, Settlement } from '@posthorn/core/driver'
import type { Channel, ConsumeMessage, Message, Options } from 'amqplib'
import { within } from './connection.ts'
import { arrivalOf } from './convert.ts'
import { gone, translated, unavailable } from './errors.ts'
import type { Names } from './names.ts'
import { closeQuietly } from './topology.ts'

/** Names one delivery: its tag holds on its tap's channel only. */
export interface Token {
  readonly tap: Tap
  readonly tag: number
}

/** One consumer on one queue over a channel of its own. */
export interface Tap {
  readonly queue: string
  /** Whether what came may be handed on; false while the queue is handed to another member. */
  giving: boolean
  /** Handed on and not settled. */
  handed: number
  /** Whether anything can still be settled here. */
  readonly dead: boolean
  /** Notes a settlement; false: this delivery is not ours, or not any more. `flush` writes what was noted. */
  note(tag: number, verdict: Settlement['verdict']): boolean
  /** Writes what was noted; false: the channel is gone, and with it the deliveries. */
  flush(): boolean
  /** Received from the broker and not settled. */
  readonly unsettled: number
  /** Ends; what is unsettled goes back to the broker, in its place. */
  close(): Promise<void>
}

/** What a tap needs. */
export interface TapOptions {
  readonly channel: Channel
  readonly clock: Clock
  readonly names: Names
  readonly queue: string
  readonly prefetch: number
  /** Of everything in the queue; undefined where the routing key tells. */
  readonly topic: string | undefined
  readonly counted: boolean
  /** Whether another member gets the queue's messages only when we have given all of ours back. */
  readonly single: boolean
  readonly consume?: Options.Consume
  arrived(arrival: Arrival): void
  /** The broker ended it: the channel, the consumer or the queue. */
  died(error: MessagingError): void
}

/** How long the broker may take to let us go. */
const farewellMs = 2_000

/** Starts to consume. */
export async function openTap(options: TapOptions): Promise<Tap> {
  const { channel, clock, queue, single } = options
  const about = `consuming from queue ${queue}`
  /** Delivery tags without a settlement, rising: the first is the lowest. */
  const open = new Set<number>()
  const lost = new AbortController()
  let acks: number[] = []
  let dead = false
  let broken = false
  let why: unknown

  const end = (): boolean => {
    if (dead) return false
    dead = true
    open.clear()
    return true
  }
  const die = (error: MessagingError): void => {
    if (!end()) return
    lost.abort(error)
    options.died(error)
  }
  channel.on('error', (error) => {
    why = error
  })
  channel.on('close', () => die(unavailable(why, about)))

  const deliver = (message: ConsumeMessage | null): void => {
    if (dead) return
    if (message === null) {
      die(gone(`${about}: the broker cancelled it; the queue was removed or moved`))
      closeQuietly(channel)
      return
    }
    const tag = message.fields.deliveryTag
    open.add(tag)
    options.arrived(arrivalOf(message, placeOf(tag)))
  }
  const { names, topic, counted } = options
  const placeOf = (tag: number) => ({ names, topic, counted, token: { tap, tag } satisfies Token, lost: lost.signal })

  const tap: Tap = {
    queue,
    giving: true,
    handed: 0,
    get dead() {
      return dead
    },
    get unsettled() {
      return open.size
    },
    note(tag, verdict) {
      if (!open.delete(tag)) return false
      if (verdict === 'ack') acks.push(tag)
      else if (!write(tag, (message) => channel.nack(message, false, true))) broken = true
      return true
    },
    flush() {
      const tags = acks
      acks = []
      if (dead || broken) return false
      // Everything below the lowest that is open is settled: one acknowledgement for all of it.
      const lowest = first(open) ?? Number.POSITIVE_INFINITY
      let run = 0
      for (const tag of tags) if (tag < lowest && tag > run) run = tag
      let written = true
      if (run > 0) written = write(run, (message) => channel.ack(message, true))
      for (const tag of tags)
        if (tag > lowest && written) written = write(tag, (message) => channel.ack(message, false))
      return written
    },
    async close() {
      if (!end()) return
      lost.abort(gone(about))
      const farewell = async (): Promise<void> => {
        // The next member of a single-consumer queue starts with the cancel, and what we give back after it would come
        // to it behind later messages: there the channel is closed at once, which does both in one.
        if (!single && consumerTag !== undefined) {
          await channel.cancel(consumerTag)
          channel.nackAll(true)
        }
        await channel.close()
      }
      await within(
        farewell().catch(() => {}),
        farewellMs,
        clock,
      )
    },
  }
  let consumerTag: string | undefined
  try {
    await channel.prefetch(options.prefetch)
    ;({ consumerTag } = await channel.consume(queue, deliver, options.consume ?? {}))
  } catch (error) {
    end()
    closeQuietly(channel)
    throw translated(error, about)
  }
  if (dead) throw unavailable(why, about)
  return tap
}

const first = (open: ReadonlySet<number>): number | undefined => {
  for (const tag of open) return tag
  return undefined
}

/** Writes one answer; false where the channel is closed, which amqplib says by throwing. */
function write(tag: number, answer: (message: Message) => void): boolean {
  try {
    answer({ fields: { deliveryTag: tag } } as Message)
    return true
  } catch {
    return false
  }
}
