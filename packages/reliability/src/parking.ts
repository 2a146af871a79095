import type { ClaimedRow, Dispatch, Held, KeeperContext } from '@posthorn/core/driver'
import { leaseMs, rounds } from './rounds.ts'
import { never, parkLane, parkPrefix, parkRef } from './rows.ts'

/**
 * Keys that wait behind a failed message. A released row stays first in its lane, leased, until a handler has acknowledged its copy: so the
 * next of the key cannot pass it, whatever happens between, and what arrives meanwhile joins behind.
 */
export function parking(held: Held, { clock, relay, topicOf }: KeeperContext) {
  const releasing = rounds(held, clock, 'parked', 100, async (rows) => {
    await Promise.all(rows.map(send))
  })

  async function send(row: ClaimedRow): Promise<void> {
    const { letter: _, ...message } = row.message
    const [sent] = await relay([
      {
        // The fence rises with each claim: what is sent again is no copy that a broker may drop.
        message: { ...message, generation: message.generation + row.fence, failures: 0, history: [], lone: 0 },
        topic: row.topic,
      },
    ])
    const expect = { state: 'parked', fence: row.fence } as const
    // Not confirmed: free again soon. Confirmed: the lease keeps the lane until its handler is done, or it is sent again.
    if (sent?.ok !== true)
      await held.change(row.ref, expect, { state: 'parked', dueAt: clock.now() + leaseMs / 10, tries: row.tries + 1 })
  }

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
        await held.change(
          ref,
          { state: 'parked', fence: own.fence },
          { state: 'parked', dueAt: never, tries: own.tries + 1 },
        )
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
