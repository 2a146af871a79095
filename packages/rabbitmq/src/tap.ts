import { type Arrival, type Clock, type MessagingError, type Settlement, within } from '@posthorn/core/driver'
import type { Channel, ConsumeMessage, Message, Options } from 'amqplib'
import { arrivalOf } from './convert.ts'
import { gone, translated, unavailable } from './errors.ts'
import type { Names } from './names.ts'
import { answered, closeQuietly, flushed } from './topology.ts'

/** Names one delivery: its tag holds on its tap's channel only. */
export interface Token {
  readonly tap: Tap
  readonly tag: number
  /** Set as soon as it is made. */
  arrival: Arrival | undefined
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
  /**
   * Whether another member gets the queue's messages only when we have given all of ours back. Then a nack is not written: what
   * goes back would come behind later messages that are out. All go back at once, when the tap is closed.
   */
  readonly single: boolean
  /** Notes a settlement; false: this delivery is not ours, or not any more. `flush` writes what was noted. */
  note(tag: number, verdict: Settlement['verdict']): boolean
  /** Keeps a delivery from being settled by others until it is let go; false as for `note`. */
  claim(tag: number): boolean
  letGo(tag: number): void
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
  /** Whether the queue is of a topic that is somebody else's. */
  readonly mapped: boolean
  readonly single: boolean
  /** Whether the queue ends with it. */
  readonly own: boolean
  readonly consume?: Options.Consume
  arrived(arrival: Arrival): void
  /** The broker ended it: the channel, the consumer or the queue. */
  died(error: MessagingError): void
}

/** How long the broker may take to let us go. */
const farewellMs = 2_000

/** Starts to consume. */
export async function openTap(options: TapOptions): Promise<Tap> {
  const { channel, clock, queue, single, own } = options
  const about = `consuming from queue ${queue}`
  /** Delivery tags without a settlement; none is below `lowest`, none above `highest`. */
  const open = new Set<number>()
  let lowest = 1
  let highest = 0
  /** Of these, the ones that are on their way back, or somewhere else. */
  const claimed = new Set<number>()
  let acks: number[] = []
  let nacks: number[] = []
  let dead = false
  let why: unknown

  const end = (): boolean => {
    if (dead) return false
    dead = true
    open.clear()
    return true
  }
  const die = (error: MessagingError): void => {
    if (!end()) return
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
    highest = tag
    const token: Token = { tap, tag, arrival: undefined }
    token.arrival = arrivalOf(message, { names, topic, counted, mapped, token })
    options.arrived(token.arrival)
  }
  const { names, topic, counted, mapped } = options

  const tap: Tap = {
    queue,
    single,
    giving: true,
    handed: 0,
    get dead() {
      return dead
    },
    get unsettled() {
      return open.size
    },
    note(tag, verdict) {
      if (claimed.size > 0 && claimed.has(tag)) return false
      if (verdict === 'nack' && single) {
        if (!open.has(tag)) return false
        // It stays open, so that no acknowledgement of later ones takes it along.
        claimed.add(tag)
        tap.giving = false
        return true
      }
      if (!open.delete(tag)) return false
      if (verdict === 'ack') acks.push(tag)
      else nacks.push(tag)
      return true
    },
    claim(tag) {
      if (!open.has(tag) || claimed.has(tag)) return false
      claimed.add(tag)
      return true
    },
    letGo: (tag) => void claimed.delete(tag),
    flush() {
      const [done, back] = [acks, nacks]
      acks = []
      nacks = []
      if (dead) return false
      let written = true
      // In their order, and before an acknowledgement that would take them along.
      if (back.length > 1) back.sort((a, b) => a - b)
      for (const tag of back) written &&= write(tag, (message) => channel.nack(message, false, true))
      // Everything below the lowest that is open is settled: one acknowledgement for all of it.
      while (lowest <= highest && !open.has(lowest)) lowest++
      let run = 0
      for (const tag of done) if (tag < lowest && tag > run) run = tag
      if (run > 0) written &&= write(run, (message) => channel.ack(message, true))
      for (const tag of done) if (tag > lowest) written &&= write(tag, (message) => channel.ack(message, false))
      return written
    },
    async close() {
      if (!end()) return
      const farewell = async (): Promise<void> => {
        // The next member of a single-consumer queue starts with the cancel, and what we give back after it would come
        // to it behind later messages: there the channel is closed instead, which does both in one.
        if (single) await flushed(channel, queue)
        // Left to itself it goes by and by, and refuses what is sent meanwhile.
        else if (own) await channel.deleteQueue(queue)
        else if (consumerTag !== undefined) {
          await channel.cancel(consumerTag)
          channel.nackAll(true)
        }
        await channel.close()
      }
      const broken = new Promise<void>((resolve) => channel.once('close', () => resolve()))
      await within(Promise.race([broken, farewell().catch(() => {})]), farewellMs, clock)
    },
  }
  let consumerTag: string | undefined
  try {
    const asking = channel.prefetch(options.prefetch).then(() => channel.consume(queue, deliver, options.consume ?? {}))
    // A queue without a leader never answers.
    consumerTag = (await answered(asking, about, clock)).consumerTag
  } catch (error) {
    end()
    closeQuietly(channel)
    throw translated(error, about)
  }
  if (dead) throw unavailable(why, about)
  return tap
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
