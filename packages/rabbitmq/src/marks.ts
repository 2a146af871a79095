// Starts alone of ordered messages. A message cannot be changed where it lies, and a copy would lose its place in its key: so what is
// to be known of it is noted beside the queue, in a small stream that every member can read.
import { createHash } from 'node:crypto'
import type { Arrival } from '@posthorn/core/driver'
import type { Channel } from 'amqplib'
import type { Tap, Token } from './tap.ts'

/** A note as it lies in the stream. */
export interface Note {
  readonly name: string
  readonly lone: number
}

/** Where notes are kept. */
export interface NoteStore {
  /** Adds one, durably; false: nobody knows. Makes the stream where it is not there. */
  add(note: Note): Promise<boolean>
  /** All of them, oldest first; none where no stream is there. */
  read(): Promise<readonly Note[]>
}

/** Marks of one source. */
export interface Marks {
  /** Hands an arrival on in its turn; what comes again knows what is noted of it. */
  arrived(arrival: Arrival): void
  /** A start alone begins, or one that was noted has ended. */
  change(arrival: Arrival, by: 1 | -1): Promise<boolean>
  /** Whether a start of it is noted here. */
  has(arrival: Arrival): boolean
}

/** Marks over a store; `push` gets every arrival, each queue's in its order. */
export function marksIn(store: NoteStore, push: (arrival: Arrival) => void): Marks {
  const known = new Map<string, number>()
  /** Who had a queue before has noted all before it came to us: so once per tap is enough, when something first comes again. */
  const read = new WeakSet<Tap>()
  const waiting = new WeakMap<Tap, Arrival[]>()
  const lone = (arrival: Arrival): number => Math.max(arrival.lone, known.get(nameOf(arrival)) ?? 0)
  const give = (arrival: Arrival): void => {
    const { token } = arrival
    const marked = known.size > 0 && comesAgain(arrival) ? { ...arrival, lone: lone(arrival) } : arrival
    ;(token as Token).arrival = marked
    push(marked)
  }
  const load = async (tap: Tap, held: Arrival[]): Promise<void> => {
    // What cannot be read is not counted: a lower bound.
    const notes = await store.read().catch(() => [])
    for (const note of notes) known.set(note.name, note.lone)
    read.add(tap)
    waiting.delete(tap)
    for (const arrival of held) give(arrival)
  }
  return {
    arrived(arrival) {
      const { tap } = arrival.token as Token
      const held = waiting.get(tap)
      if (held !== undefined) held.push(arrival)
      else if (read.has(tap) || !comesAgain(arrival)) give(arrival)
      else {
        const first = [arrival]
        waiting.set(tap, first)
        void load(tap, first)
      }
    },
    async change(arrival, by) {
      const note = { name: nameOf(arrival), lone: Math.max(0, lone(arrival) + by) }
      if (!(await store.add(note))) return false
      known.set(note.name, note.lone)
      return true
    },
    has: (arrival) => known.size > 0 && (known.get(nameOf(arrival)) ?? 0) > 0,
  }
}

/** A redrive begins anew. As a property it is short. */
function nameOf({ id, generation }: Arrival): string {
  const name = `${generation} ${id}`
  return Buffer.byteLength(name) <= 200 ? name : createHash('sha256').update(name).digest('hex')
}

const comesAgain = ({ deliveryCount }: Arrival): boolean => deliveryCount === undefined || deliveryCount > 1

/** Reads a stream from its beginning up to a message of that id, which is there; rejects when the channel ends before. */
export function readUpTo(channel: Channel, stream: string, last: string): Promise<readonly Note[]> {
  return new Promise((resolve, reject) => {
    const notes: Note[] = []
    const ended = (): void => reject(new Error(`reading ${stream} ended early`))
    channel.on('close', ended)
    const came: Parameters<Channel['consume']>[1] = (message) => {
      if (message === null) return ended()
      channel.ack(message)
      const { messageId, headers } = message.properties
      if (messageId === last) return resolve(notes)
      const lone = Number(headers?.['lone'] ?? Number.NaN)
      if (typeof messageId === 'string' && Number.isInteger(lone)) notes.push({ name: messageId, lone })
      return undefined
    }
    channel
      .prefetch(200)
      .then(() => channel.consume(stream, came, { arguments: { 'x-stream-offset': 'first' } }))
      .catch(reject)
  })
}
