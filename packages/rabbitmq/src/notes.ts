import { randomUUID } from 'node:crypto'
import { isMessagingError } from '@posthorn/core/driver'
import type { Declaring } from './declaring.ts'
import { type NoteStore, readUpTo } from './marks.ts'
import type { Sender } from './sender.ts'
import { establish, onChannel } from './topology.ts'

/** How long a note may take; who waits for it holds a message meanwhile. */
const noteMs = 10_000
/** Notes are few and short; what is older than all retries is of no use. */
const kept = { 'x-queue-type': 'stream', 'x-max-length-bytes': 4_000_000, 'x-stream-max-segment-size-bytes': 1_000_000 }

/** The stream of notes of one ordered group. */
export function notesOf(on: Declaring, sender: Sender, topic: string, group: string): NoteStore {
  const { names, context } = on
  const stream = names.marks(topic, group)
  const about = `the marks of group ${group} of ${topic}`
  const step = { do: 'queue', name: stream, args: kept } as const
  let made = false
  const append = async (messageId: string, lone?: number): Promise<boolean> => {
    const [result] = await sender.send(
      [
        {
          id: messageId,
          exchange: '',
          key: stream,
          body: Buffer.alloc(0),
          properties: { messageId, ...(lone === undefined ? {} : { headers: { lone: lone.toString() } }) },
        },
      ],
      AbortSignal.timeout(noteMs),
    )
    if (result?.ok !== true) made = false
    return made
  }
  return {
    async add({ name, lone }) {
      if (!made) {
        await onChannel(on.link, context.clock, about, AbortSignal.timeout(noteMs), (channel) =>
          establish(channel, [step], context.topology, about),
        )
        made = true
      }
      return append(name, lone)
    },
    async read() {
      const signal = AbortSignal.timeout(noteMs)
      try {
        return await onChannel(on.link, context.clock, about, signal, async (channel) => {
          await establish(channel, [step], 'check', about)
          made = true
          // Where it ends is not told: so we read up to a word of our own.
          const last = `look ${randomUUID()}`
          return (await append(last)) ? readUpTo(channel, stream, last) : []
        })
      } catch (error) {
        if (isMessagingError(error, 'not-found')) return []
        throw error
      }
    },
  }
}
