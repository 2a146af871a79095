import type { MessagingError } from '@posthorn/core'
import type { Arrival, Clock, Settled, Settlement, Source } from '@posthorn/core/driver'
import type { Item, Lane } from './lane.ts'

/** Hands out what lanes hold and takes settlements: the half of a source that no broker is needed for. */
export interface Outlet extends Pick<Source, 'receive' | 'settle'> {
  /** Something may be handed out. */
  wake(): void
  /** Whoever receives gets this once nothing is left to hand out. */
  fail(error: MessagingError): void
  readonly failure: MessagingError | undefined
  /** Resolves when it failed. */
  readonly failed: Promise<void>
}

/** Over lanes that may change, at most `window` out unsettled; `ended` tells that nothing will come any more. */
export function outlet(
  lanes: () => readonly Lane[],
  clock: Clock,
  window: number,
  ended: () => boolean = () => false,
): Outlet {
  let failure: MessagingError | undefined
  let rouse = (): void => {}
  let tell = (): void => {}
  const failed = new Promise<void>((resolve) => {
    tell = resolve
  })
  let turn = 0

  const collect = (wanted: number): Arrival[] => {
    const out: Arrival[] = []
    const now = clock.now()
    const all = lanes()
    let inHand = 0
    for (const each of all) inHand += each.inHand
    const max = Math.min(wanted, window - inHand)
    for (let i = 0; i < all.length && out.length < max; i++)
      all[(turn + i) % all.length]?.take(max - out.length, now, out)
    turn++
    return out
  }
  /** Waits for something to hand out, a failure or the abort. */
  const until = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const now = clock.now()
      const due = Math.min(...lanes().map((each) => each.nextDue(now) ?? Number.POSITIVE_INFINITY))
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        rouse = () => {}
        resolve()
      }
      const cancel = due === Number.POSITIVE_INFINITY ? () => {} : clock.after(due - now, done)
      rouse = done
      signal.addEventListener('abort', done, { once: true })
    })
  const settleOne = (settlement: Settlement): Settled => {
    const item = settlement.token as Item
    const { lane } = item
    if (lane.lost || !item.inHand) return 'stale'
    if (settlement.verdict === 'ack') return lane.finish(item) ? 'ok' : 'stale'
    const { failures, history = [] } = settlement
    lane.putBack(item, failures === undefined ? undefined : { failures, history })
    return 'ok'
  }
  return {
    async receive(max, signal) {
      for (;;) {
        if (signal.aborted) return []
        const arrivals = collect(max)
        if (arrivals.length > 0 || ended()) return arrivals
        if (failure !== undefined) throw failure
        await until(signal)
      }
    },
    async settle(batch) {
      const answers = batch.map(settleOne)
      rouse()
      return answers
    },
    failed,
    wake: () => rouse(),
    fail(error) {
      failure ??= error
      tell()
      rouse()
    },
    get failure() {
      return failure
    },
  }
}
