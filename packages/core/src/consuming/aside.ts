import type { Clock } from '../driver/clock.ts'
import type { Newest } from './ready.ts'

/** Shortest time for which something is put aside: it must not come back before what was sent later has been seen. */
const shortestMs = 1_000

/** What makes room in a full hand, so that what was sent later comes into sight. */
export interface Aside<T> {
  /** What is to go back to the broker now, not to come again before `afterMs`; nothing while the hand has room. */
  from(inHand: number): { readonly items: readonly T[]; readonly afterMs: number } | undefined
}

/**
 * A quarter of what waits, the oldest, whenever the hand is full. It goes for half of the time that the rest will take, as far as that is known, so that it
 * is back before the hand is empty; at most for `mostMs`.
 */
export function aside<T>(
  clock: Clock,
  waiting: Newest<T>,
  window: number,
  mostMs: number,
  ended: () => number,
): Aside<T> {
  let since = clock.now()
  let before = 0
  /** How long one took of late: nothing is known at first, so that what goes then is soon back. */
  let msEach = 0
  const look = (): void => {
    const [now, count] = [clock.now(), ended()]
    if (now - since < shortestMs) return
    msEach = (now - since) / (count - before)
    since = now
    before = count
  }
  return {
    from(inHand) {
      if (inHand < window || waiting.size() === 0) return undefined
      look()
      const restMs = waiting.size() * msEach
      const items = waiting.takeOldest(Math.ceil(waiting.size() / 4))
      return { items, afterMs: Math.min(Math.max(restMs / 2, shortestMs), mostMs) }
    },
  }
}
