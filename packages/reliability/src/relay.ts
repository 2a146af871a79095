import type { ClaimedRow, Held, KeeperContext, MessagingError } from '@posthorn/core/driver'
import { jittered } from '@posthorn/core/driver'
import { rounds } from './rounds.ts'

/** How long a sent row is remembered: a cancel that comes later is told `unknown`. */
const sentKeptMs = 24 * 3_600_000

/** Rows relayed at once. */
const most = 500

/** Longest pause before another try of a row that the broker refused: it will hardly have changed its mind. */
const longestMs = 30_000
/** And of one that could not reach it: all of those wait for the same thing, and are to go once it is there. */
const awayMs = 5_000
const away: ReadonlySet<MessagingError['code']> = new Set(['unavailable', 'timeout', 'closed'])

/** What waited for its time, now that it has come. */
function due(row: ClaimedRow): Pick<ClaimedRow, 'message' | 'topic'> {
  const { message, topic } = row
  return message.notBefore === undefined ? row : { message: { ...message, notBefore: undefined }, topic }
}

/**
 * Sends what is ready: the outbox, what is due, what was spooled. A row leaves after the broker has confirmed it, under the same id, so a
 * crash between repeats it. What can never be sent becomes a dead letter of no group and frees its lane.
 */
export function relaying(held: Held, { clock, events, relay }: KeeperContext, left: (row: ClaimedRow) => void) {
  const send = async (rows: readonly ClaimedRow[]): Promise<void> => {
    const results = await relay(rows.map(due))
    await Promise.all(
      rows.map(async (row, i) => {
        const result = results[i]
        if (result === undefined || result.ok) await leave(row)
        else if (result.error.retryable || result.error.outcome === 'unknown' || result.error.code === 'closed')
          await later(row, away.has(result.error.code) ? awayMs : longestMs)
        else if ((await bury(due(row), result.error)).ok) await leave(row)
        else await later(row, longestMs)
      }),
    )
  }
  const sending = rounds(held, { clock, events }, 'ready', most, send, { watching: true })
  const sweeping = rounds(held, { clock, events }, 'sent', most, async (rows) => {
    await Promise.all(rows.map(({ ref, fence }) => held.change(ref, { state: 'sent', fence }, undefined)))
  })

  async function leave(row: ClaimedRow): Promise<void> {
    const { ref, fence } = row
    const asked = row.lane === undefined && row.message.notBefore !== undefined
    const to = asked ? ({ state: 'sent', dueAt: clock.now() + sentKeptMs } as const) : undefined
    if (await held.change(ref, { state: 'ready', fence }, to)) left(row)
  }
  async function later({ ref, fence, tries }: ClaimedRow, mostMs: number): Promise<void> {
    const dueAt = clock.now() + 100 + jittered(tries + 1, 200, mostMs)
    await held.change(ref, { state: 'ready', fence }, { state: 'ready', dueAt, tries: tries + 1 })
  }
  async function bury({ message, topic }: Pick<ClaimedRow, 'message' | 'topic'>, error: MessagingError) {
    const letter = {
      reason: 'unroutable',
      error: error.message.slice(0, 500),
      attempts: message.failures,
      at: clock.now(),
    } as const
    const [put] = await relay([{ message: { ...message, group: undefined, letter }, topic }])
    events.emit('send-failed', { id: message.id, topic: message.topic, error })
    return put ?? { ok: false }
  }
  return {
    wake: sending.wake,
    async close() {
      await Promise.all([sending.close(), sweeping.close()])
    },
  }
}
