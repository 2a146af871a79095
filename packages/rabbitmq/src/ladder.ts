// Delay without a plugin: queues of fixed lifetimes, one per power of two, so that no message waits behind a longer one.

/** Lifetimes are 2^level ms. The finest step is 128 ms; all levels together are 795 days. */
export const firstLevel = 7
export const lastLevel = 35

/** Longest delay that the ladder can do. */
export const longestDelayMs = 2 ** (lastLevel + 1) - 2 ** firstLevel - 1_000

/** What a hop costs besides its lifetime, roughly; saves hops that would cost more than waiting a little longer. */
const hopMs = 20
/** The broker cuts times to whole ms, at most once per hop: this much is added so that nothing is early. */
const cutMs = lastLevel - firstLevel + 1

/** How a message climbs down: where it enters and at which levels it waits. */
export interface Descent {
  /** The highest level at which it waits. */
  readonly entry: number
  /** Headers by which each level knows whether the message waits there. */
  readonly headers: Readonly<Record<string, true>>
}

/** Header by which a level keeps a message. */
export const levelHeader = (level: number): string => `ph-${level}`

/** The way of a message that may arrive after `delayMs`, never before. Undefined where it need not wait. */
export function descentOf(delayMs: number): Descent | undefined {
  if (delayMs <= 0) return undefined
  const waits = cheapest(Math.ceil((delayMs + cutMs) / 2 ** firstLevel))
  const headers: Record<string, true> = {}
  let entry = firstLevel
  for (let level = firstLevel, rest = waits; rest > 0; level++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 0) continue
    headers[levelHeader(level)] = true
    entry = level
  }
  return { entry, headers }
}

/** The number from `steps` up to half a second more that reaches its end soonest, hops counted. */
function cheapest(steps: number): number {
  let best = steps
  let cost = Number.POSITIVE_INFINITY
  for (let grain = 1; grain <= 4; grain *= 2) {
    const rounded = Math.ceil(steps / grain) * grain
    const late = (rounded - steps) * 2 ** firstLevel + bits(rounded) * hopMs
    if (late < cost) {
      best = rounded
      cost = late
    }
  }
  return best
}

function bits(number: number): number {
  let count = 0
  for (let rest = number; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
