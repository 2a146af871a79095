import type { Clock } from '@posthorn/core/driver'
import type { Delivery } from './convert.ts'

/** Watches until when deliveries are ours. */
export interface Leases {
  /** There may be more to watch. */
  watch(): void
  stop(): void
}

/** Tells deliveries that their lease has ended, takes them out of `hands` and calls back. One timer for all. */
export function leasesOf(clock: Clock, hands: Set<Delivery>, ended: () => void): Leases {
  let cancel: (() => void) | undefined
  const arm = (): void => {
    let first = Number.POSITIVE_INFINITY
    // A window is a few hundred at most, and this runs once per lease.
    for (const { until } of hands) if (until < first) first = until
    if (first < Number.POSITIVE_INFINITY) cancel = clock.after(Math.max(0, first - clock.now()), look, { unref: true })
  }
  const look = (): void => {
    cancel = undefined
    const now = clock.now()
    const late = [...hands].filter(({ until }) => until <= now)
    const lanes = new Set(late.flatMap(({ lane }) => lane ?? []))
    const gone = new Set(late.map(({ lease }) => lease))
    // A key goes whole, and so does a claim: with one of its messages all that are in hand, also those that were extended.
    for (const { lane, lease } of hands) if (lane !== undefined && lanes.has(lane)) gone.add(lease)
    for (const each of hands) if (gone.has(each.lease)) hands.delete(each)
    for (const lease of gone) lease?.lose()
    ended()
    arm()
  }
  return {
    watch() {
      if (cancel === undefined) arm()
    },
    stop: () => cancel?.(),
  }
}
