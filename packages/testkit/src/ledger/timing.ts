import type { Entry } from './entries.ts'
import { type Fate, type Fates, never } from './fates.ts'
import { type Flow, flowsOf, lowerBound } from './flow.ts'

/** A fault as the harness wrote it down. */
export interface FaultWindow {
  readonly name: string
  readonly begin: number
  /** The end of the run where nobody ended it. */
  end: number
}

/** How the run went on after one fault; undefined: it did not. */
export interface FaultReport {
  readonly name: string
  /** Since the run began. */
  readonly atMs: number
  readonly lastedMs: number
  /** From its end to the first send that was acknowledged; `untried`: none was open then or begun later. */
  readonly sendsAfterMs: number | 'untried' | undefined
  /** From its end to the first effect. */
  readonly effectsAfterMs: number | undefined
  /** From its end until all that was acknowledged before had taken effect; 0 if it had already. */
  readonly drainedAfterMs: number | undefined
  /** Sends that were acknowledged. */
  readonly sends: Flow
  /** First effects, by group. */
  readonly effects: Readonly<Record<string, Flow>>
}

/** Of a series of times in ms. */
export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** How much later than due messages came. */
export interface Lateness {
  /** No fault between due time and delivery. */
  readonly healthy: Percentiles | undefined
  /** Counted from the end of the fault that was in the way. */
  readonly afterHeal: Percentiles | undefined
  /** Due when the load had ended under which faults were to fall: senders then send what is left as fast as they can, and it waits behind that. */
  readonly afterLoad: Percentiles | undefined
}

/** Pairs beginnings and ends by name. */
export function faultWindows(
  entries: readonly Extract<Entry, { e: 'fault' }>[],
  endAt: number,
): readonly FaultWindow[] {
  const windows: FaultWindow[] = []
  const open = new Map<string, FaultWindow>()
  for (const { name, phase, t } of [...entries].sort((a, b) => a.t - b.t)) {
    if (phase === 'begin') {
      const window = { name, begin: t, end: endAt }
      windows.push(window)
      open.set(name, window)
    } else {
      const window = open.get(name)
      if (window !== undefined) window.end = t
      open.delete(name)
    }
  }
  return windows
}

/** First deliveries against due times. */
export function latenessOf(fates: Iterable<Fate>, windows: readonly FaultWindow[], loadEndsAt: number): Lateness {
  const healthy: number[] = []
  const afterHeal: number[] = []
  const afterLoad: number[] = []
  for (const { due, groups } of fates) {
    if (due === undefined) continue
    for (const group of groups) {
      if (group === undefined || group.firstDelivery === never) continue
      const at = group.firstDelivery
      let from: number = due
      for (const { begin, end } of windows) if (begin <= at && end >= due && end > from) from = Math.min(end, at)
      const late = Math.max(0, at - from)
      if (from !== due) afterHeal.push(late)
      else if (due > loadEndsAt) afterLoad.push(late)
      else healthy.push(late)
    }
  }
  return { healthy: percentiles(healthy), afterHeal: percentiles(afterHeal), afterLoad: percentiles(afterLoad) }
}

/** How sending, handling and draining went on around each fault. */
export function recoveryOf(
  { byId, groups }: Fates,
  windows: readonly FaultWindow[],
  { startAt, loadEndsAt }: { readonly startAt: number; readonly loadEndsAt: number },
): readonly FaultReport[] {
  if (windows.length === 0) return []
  const oks: number[] = []
  let lastTry = -never
  const effects: number[][] = groups.map(() => [])
  /** When it was acknowledged, and when the last of its groups had it. */
  const spans: { readonly ok: number; readonly done: number }[] = []
  for (const fate of byId.values()) {
    if (fate.okAt < never) oks.push(fate.okAt)
    lastTry = Math.max(lastTry, fate.open ? never : fate.sentAt + fate.tookMs)
    let done = 0
    fate.groups.forEach((group, number) => {
      if (group === undefined || group.firstEffect === never) return
      effects[number]?.push(group.firstEffect)
      done = Math.max(done, group.firstEffect)
    })
    if (fate.okAt < never && done > 0 && fate.due === undefined) spans.push({ ok: fate.okAt, done })
  }
  const sortedOks = Float64Array.from(oks).sort()
  const sortedEffects = effects.map((times) => Float64Array.from(times).sort())
  const drained = drainTimes(spans)
  const sends = flowsOf(sortedOks, windows, loadEndsAt)
  const handling = sortedEffects.map((times) => flowsOf(times, windows, loadEndsAt))
  return windows.map(({ name, begin, end }, index) => ({
    name,
    atMs: begin - startAt,
    lastedMs: end - begin,
    sendsAfterMs: lastTry < end ? 'untried' : firstFrom(sortedOks, end),
    effectsAfterMs: earliest(sortedEffects.map((times) => firstFrom(times, end))),
    drainedAfterMs: Math.max(0, drained(end) - end),
    sends: sends[index] as Flow,
    effects: Object.fromEntries(groups.map((name, number) => [name, handling[number]?.[index] as Flow])),
  }))
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const least = Math.min(...times.map((time) => time ?? never))
  return least === never ? undefined : least
}

/** For a time: when the last of those acknowledged before it was done. */
function drainTimes(spans: { readonly ok: number; readonly done: number }[]): (before: number) => number {
  spans.sort((a, b) => a.ok - b.ok)
  const oks = Float64Array.from(spans, (span) => span.ok)
  let latest = 0
  const lasts = Float64Array.from(spans, (span) => {
    latest = Math.max(latest, span.done)
    return latest
  })
  return (before) => lasts[lowerBound(oks, before) - 1] ?? 0
}

function firstFrom(sorted: Float64Array, from: number): number | undefined {
  const at = sorted[lowerBound(sorted, from)]
  return at === undefined ? undefined : at - from
}

function percentiles(values: number[]): Percentiles | undefined {
  if (values.length === 0) return undefined
  const sorted = Float64Array.from(values).sort()
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) }
}
