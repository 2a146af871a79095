import type { FaultWindow } from './timing.ts'

/** How something that happens all the time, sends or effects, went on around a fault. */
export interface Flow {
  /** In the three seconds before it began. */
  readonly before: number
  readonly during: number
  /** From its end until the next one began, or the load ended. */
  readonly after: number
  /** The longest stretch without any that touches it, from the last one before it to the first one after it; undefined: there was none before, or none after. */
  readonly stalledMs: number | undefined
}

const beforeMs = 3_000

/** Of times in order, around each of the windows, which are in order, too. */
export function flowsOf(times: Float64Array, windows: readonly FaultWindow[], loadEndsAt: number): readonly Flow[] {
  const between = (from: number, to: number): number => Math.max(0, lowerBound(times, to) - lowerBound(times, from))
  return windows.map(({ begin, end }, index) => ({
    before: between(begin - beforeMs, begin),
    during: between(begin, end),
    after: between(end, Math.min(windows[index + 1]?.begin ?? loadEndsAt, loadEndsAt)),
    stalledMs: stalled(times, begin, end),
  }))
}

function stalled(times: Float64Array, begin: number, end: number): number | undefined {
  const last = lowerBound(times, end)
  if (times.length === 0 || (times[0] as number) >= begin || last === times.length) return undefined
  let longest = 0
  for (let at = lowerBound(times, begin); at <= last; at++)
    longest = Math.max(longest, (times[at] as number) - (times[at - 1] as number))
  return longest
}

/** The first place whose value is not below `value`. */
export function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}
