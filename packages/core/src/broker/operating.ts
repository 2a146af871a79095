import type { Engine } from '../consuming/consumer.ts'
import type { PatternSpec, TopicSpec } from '../driver/seam.ts'
import { describe } from '../errors.ts'
import type { Health, Lag } from '../face/operating.ts'
import type { Runtime } from './runtime.ts'

/** How long the rate is measured over when nothing is known yet. */
const shortestSampleMs = 200

interface Sample {
  readonly at: number
  readonly handled: number
}

/** Backlog and time to drain. The rate is what this broker's consumers of the group handled since the last question, or since they began. */
export function lagMeter(runtime: Runtime) {
  const counted = new Map<string, { handled: number; since: number; last: Sample | undefined }>()
  const keyOf = (topic: string, group: string): string => `${topic}\n${group}`
  return {
    /** Counts a handled message. */
    handled(topic: string, group: string): void {
      const key = keyOf(topic, group)
      const entry = counted.get(key)
      if (entry === undefined) counted.set(key, { handled: 1, since: runtime.clock.now(), last: undefined })
      else entry.handled++
    },
    async lag(source: TopicSpec | PatternSpec, group: string): Promise<Lag> {
      const found = await runtime.driver.lag(source, group, runtime.closing)
      const now = runtime.clock.now()
      const name = 'name' in source ? source.name : source.pattern
      const entry = counted.get(keyOf(name, group))
      const from = entry?.last ?? { at: entry?.since ?? now, handled: 0 }
      const forMs = now - from.at
      const ratePerSecond = entry === undefined || forMs <= 0 ? 0 : ((entry.handled - from.handled) * 1_000) / forMs
      if (entry !== undefined && forMs >= shortestSampleMs) entry.last = { at: now, handled: entry.handled }
      const drainMs = found.backlog === 0 ? 0 : ratePerSecond > 0 ? (found.backlog * 1_000) / ratePerSecond : undefined
      return { ...found, ratePerSecond, drainMs }
    },
  }
}

/** Whether a message can be sent and consumed now: the driver's word, the consumers' and the store's. Never rejects. */
export async function health(runtime: Runtime, engines: ReadonlyMap<Engine, string>): Promise<Health> {
  const checks = [
    ...(await runtime.driver.health().catch((error) => [{ name: 'broker', ok: false, detail: describe(error) }])),
  ]
  for (const [engine, name] of engines) {
    const { trouble } = engine
    const { inFlight, handled, failed } = engine.stats()
    checks.push({
      name,
      ok: trouble === undefined,
      detail: trouble?.message ?? `${inFlight} in flight, ${handled} handled, ${failed} failed starts`,
    })
  }
  if (runtime.keeper !== undefined) {
    try {
      const { ready, prepared, parked, oldestMs } = await runtime.keeper.waiting()
      checks.push({
        name: 'held',
        ok: true,
        detail: `${ready} to be sent, ${prepared} half messages, ${parked} parked${oldestMs === undefined ? '' : `, the oldest is ${Math.round(oldestMs)} ms overdue`}`,
      })
    } catch (error) {
      checks.push({ name: 'held', ok: false, detail: describe(error) })
    }
  }
  return { ok: checks.every((check) => check.ok), checks }
}
