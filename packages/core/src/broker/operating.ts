import { checkOptions, checkValue, nearest, ownName } from '../checked.ts'
import type { Engine } from '../consuming/consumer.ts'
import type { Clock } from '../driver/clock.ts'
import type { DriverLag } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { Source } from '../face/messages.ts'
import type { Health, Lag } from '../face/operating.ts'
import type { Runtime } from './runtime.ts'

/** How long the rate is measured over when nothing is known yet. */
const shortestSampleMs = 200

interface Sample {
  readonly at: number
  readonly handled: number
}

/** What the consumers of a group on a topic have handled since the first of them began. */
export interface Tally {
  handled: number
}

/** Counts by topic and group, and backlog and time to drain by them. The rate is what was handled since the last question, or since the consumers began. */
export function lagMeter(clock: Clock) {
  const counted = new Map<string, Tally & { readonly since: number; last: Sample | undefined }>()
  const tallyOf = (topic: string, group: string) => {
    const key = `${topic}\n${group}`
    const found = counted.get(key) ?? { handled: 0, since: clock.now(), last: undefined }
    counted.set(key, found)
    return found
  }
  return {
    /** What a consumer adds to. */
    tally: (topic: string, group: string): Tally => tallyOf(topic, group),

    lagOf(topic: string, group: string, found: DriverLag): Lag {
      const now = clock.now()
      const entry = tallyOf(topic, group)
      const from = entry.last ?? { at: entry.since, handled: 0 }
      const forMs = now - from.at
      const ratePerSecond = forMs <= 0 ? 0 : ((entry.handled - from.handled) * 1_000) / forMs
      if (forMs >= shortestSampleMs) entry.last = { at: now, handled: entry.handled }
      const drainMs = found.backlog === 0 ? 0 : ratePerSecond > 0 ? (found.backlog * 1_000) / ratePerSecond : undefined
      return { ...found, ratePerSecond, drainMs }
    },
  }
}

/** `broker.lag`. */
export async function lag(runtime: Runtime, source: Source, options: { readonly group: string }): Promise<Lag> {
  runtime.open('lag')
  checkOptions('lag()', options, { group: ownName })
  checkValue('lag()', 'group', options?.group, ownName, true)
  const spec = await runtime.resolve(source, runtime.closing)
  const name = 'name' in spec ? spec.name : spec.pattern
  let found: DriverLag
  try {
    found = await runtime.driver.lag(spec, options.group, runtime.closing)
  } catch (error) {
    if (!isMessagingError(error, 'not-found')) throw error
    const what = await noSuchGroup(runtime, name, options.group)
    throw new MessagingError('not-found', `lag(): ${what} (${error.message})`, { cause: error })
  }
  return runtime.meter.lagOf(name, options.group, found)
}

/** That a topic has no such group, and which there are, where the broker tells. */
export async function noSuchGroup(runtime: Runtime, name: string, group: string): Promise<string> {
  const listed = await runtime.driver.topics?.(runtime.closing).catch(() => [])
  const groups = listed?.find((each) => each.name === name)?.groups ?? []
  const near = nearest(group, groups)
  const hint =
    near !== undefined
      ? `; did you mean ${near}?`
      : groups.length > 0
        ? `; there are ${groups.join(', ')}`
        : '; consume once with it, or name it in topic(name, { groups })'
  return `${name} has no group ${group}${hint}`
}

/** Whether a message can be sent and consumed now: the driver's word, the consumers' and the store's. Never rejects. */
export async function health(
  runtime: Runtime,
  engines: ReadonlyMap<Engine, string>,
  givenUp: ReadonlyMap<string, string>,
): Promise<Health> {
  const checks = [
    ...(await runtime.driver.health().catch((error) => [{ name: 'broker', ok: false, detail: describe(error) }])),
  ]
  for (const [engine, name] of engines) {
    const { trouble } = engine
    const { inFlight, handled, failed } = engine.stats()
    checks.push({
      name,
      ok: trouble === undefined,
      detail:
        trouble?.message ??
        `${engine.resting ? 'paused, ' : ''}${inFlight} in flight, ${handled} handled, ${failed} failed starts`,
    })
  }
  for (const [name, why] of givenUp) checks.push({ name, ok: false, detail: `it has ended: ${why}` })
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
