import { type ClaimedRow, describe, type Held, type HeldState, type KeeperContext } from '@posthorn/core/driver'

/** How long a round may work on what it claimed before another process may. Longer than the publish deadline. */
const leaseMs = 30_000

/** Longest between two looks where the store gave no sign: another process may have put something away. */
const longestMs = 5_000

/**
 * Works off the rows of one state as they fall due: woken by the next due time, now and then on its own, and by the store where somebody waits for what has just
 * been put away. One round at a time; what a round throws is tried again with the next, and told once until
 * a round ends well.
 */
export function rounds(
  held: Held,
  { clock, events }: Pick<KeeperContext, 'clock' | 'events'>,
  state: HeldState,
  max: number,
  work: (rows: readonly ClaimedRow[]) => Promise<void>,
  { watching = false }: { readonly watching?: boolean } = {},
): { readonly close: () => Promise<void>; readonly wake: () => void } {
  let closed = false
  let running: Promise<void> | undefined
  let again = false
  let failed = false
  let cancel = (): void => {}

  const sleep = (ms: number): void => {
    cancel()
    if (!closed) cancel = clock.after(ms, wake, { unref: true })
  }
  async function round(): Promise<void> {
    for (;;) {
      again = false
      const rows = await held.claim({ state, now: clock.now(), max, leaseMs })
      if (rows.length > 0) await work(rows)
      if (closed) return
      // After a full hand there may be more, and behind the head of a lane that has left.
      if (rows.length < max && rows.every(({ lane }) => lane === undefined) && !again) break
    }
    const due = await held.nextDue(state)
    sleep(Math.min(Math.max((due ?? Number.POSITIVE_INFINITY) - clock.now(), 1), longestMs))
  }
  function wake(): void {
    if (closed) return
    if (running !== undefined) {
      again = true
      return
    }
    cancel()
    running = round()
      .then(() => {
        failed = false
      })
      .catch((error: unknown) => {
        if (!failed && !closed)
          events.say(
            `what is ${state} in the store cannot be worked off, and is tried again each second: ${describe(error)}`,
          )
        failed = true
        sleep(1_000)
      })
      .finally(() => {
        running = undefined
        if (again) wake()
      })
  }
  // Each look costs two questions, and each commit would be one: what is due in a minute can wait for its time.
  const unwatch = watching ? held.watch(wake) : undefined
  wake()
  return {
    wake,
    async close() {
      closed = true
      unwatch?.()
      cancel()
      await running
    },
  }
}
