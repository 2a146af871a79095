import type { ClaimedRow, Dispatch, Held, KeeperContext } from '@posthorn/core/driver'
import { rounds } from './rounds.ts'
import { never, parkLane, parkPrefix, parkRef } from './rows.ts'

/** After so long without word of a released message it is sent again; doubled each time, up to an hour. */
const againMs = 60_000
const longestAgainMs = 3_600_000
/** After so long one is sent again that was not confirmed. */
const soonMs = 3_000

/**
 * Sends what was released. The row keeps its lane until its copy's handler is done; only if nothing is heard for long it is sent again, or a group that is away
 * would find a heap of copies. That is written first: what the copy comes to may be there before the answer to the send.
 */
function sendingAgain(held: Held, { clock, relay }: KeeperContext) {
  return async (row: ClaimedRow): Promise<void> => {
    const { ref, fence, tries, topic } = row
    const expect = { state: 'parked', fence } as const
    const dueAt = clock.now() + Math.min(againMs * 2 ** tries, longestAgainMs)
    if (!(await held.change(ref, expect, { state: 'parked', dueAt, tries: tries + 1 }))) return
    const { letter: _, ...message } = row.message
    // The fence rises with each claim: what is sent again is no copy that a broker may drop.
    const copy = { ...message, generation: message.generation + fence, failures: 0, history: [], lone: 0 }
    const [sent] = await relay([{ message: copy, topic }])
    if (sent?.ok === true) return
    const now = await held.get(ref)
    if (now?.fence === fence && now.dueAt === dueAt)
      await held.change(ref, expect, { state: 'parked', dueAt: clock.now() + soonMs, tries })
  }
}

/**
 * Keys that wait behind a failed message. A released row stays first in its lane until a handler has acknowledged its copy: so the
 * next of the key cannot pass it, whatever happens between, and what arrives meanwhile joins behind.
 */
export function parking(held: Held, context: KeeperContext) {
  const { clock, topicOf } = context
  const send = sendingAgain(held, context)
  const releasing = rounds(held, context, 'parked', 100, async (rows) => {
    await Promise.all(rows.map(send))
  })
  const head = async (lane: string) => (await held.range({ state: 'parked', lane, max: 1 }))[0]

  return {
    async park(message: Dispatch, group: string, key: string): Promise<void> {
      const lane = parkLane(message.topic, group, key)
      const ref = parkRef(message.topic, group, message.id)
      const first = await head(lane)
      const draining = first !== undefined && first.dueAt !== never && first.ref !== ref
      const own = await held.get(ref)
      // A released one that failed again is where it was: first. Its lane waits once more.
      if (own !== undefined)
        await held.change(ref, { state: 'parked', fence: own.fence }, { state: 'parked', dueAt: never, tries: 0 })
      else
        await held.insert([
          {
            ref,
            state: 'parked',
            message: { ...message, group },
            topic: topicOf(message.topic),
            lane,
            dueAt: draining ? clock.now() : never,
            tries: 0,
          },
        ])
      if (draining) releasing.wake()
    },
    async parked(topic: string, group: string, key: string, id: string): Promise<boolean> {
      const first = await head(parkLane(topic, group, key))
      return first !== undefined && first.message.id !== id
    },
    /** A released message was handled: the next of its key may go. */
    async handled(topic: string, group: string, id: string): Promise<void> {
      const ref = parkRef(topic, group, id)
      const row = await held.get(ref)
      if (row === undefined) return
      await held.change(ref, { state: 'parked', fence: row.fence }, undefined)
      releasing.wake()
    },
    async *of(topic: string, group: string): AsyncGenerator<Dispatch> {
      const prefix = parkPrefix(topic, group)
      let after: string | undefined
      for (;;) {
        const rows = await held.range({ state: 'parked', after, max: 100 })
        for (const row of rows) if (row.lane?.startsWith(prefix) === true) yield row.message
        after = rows.at(-1)?.ref
        if (rows.length < 100) return
      }
    },
    async release(topic: string, group: string, key: string): Promise<number> {
      const lane = parkLane(topic, group, key)
      let released = 0
      for (const row of await held.range({ state: 'parked', lane, max: 10_000 })) {
        if (row.dueAt !== never) released++
        else if (await held.change(row.ref, { state: 'parked' }, { state: 'parked', dueAt: clock.now() })) released++
      }
      releasing.wake()
      return released
    },
    async discard(topic: string, group: string, id: string): Promise<boolean> {
      const ref = parkRef(topic, group, id)
      const row = await held.get(ref)
      return row !== undefined && held.change(ref, { state: 'parked', fence: row.fence }, undefined)
    },
    close: releasing.close,
  }
}
