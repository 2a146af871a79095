// A consumer that rests because its user, or what it uses, wants it to.
import type { Runtime } from '../broker/runtime.ts'
import { isMessagingError } from '../errors.ts'
import { innerOf, type Subscribed } from '../extension.ts'
import type { Source } from '../face/messages.ts'
import type { Intake } from './intake.ts'
import type { Settings } from './settings.ts'

/** Who wants a consumer to rest: it goes on when nobody does. */
export interface Rest {
  readonly wanted: boolean
  pause(by: unknown): void
  resume(by: unknown): void
}

/** Nobody wants it yet. */
export function resting(intake: Pick<Intake, 'pause' | 'resume'>): Rest {
  const wanted = new Set<unknown>()
  return {
    get wanted(): boolean {
      return wanted.size > 0
    },
    pause(by: unknown): void {
      wanted.add(by)
      intake.pause()
    },
    resume(by: unknown): void {
      if (wanted.delete(by) && wanted.size === 0) intake.resume()
    },
  }
}

/** Hands the wheel to those extensions that want it. */
export function steered(runtime: Runtime, settings: Settings, known: Subscribed, rest: Rest): void {
  for (const { steer } of settings.use.map(innerOf))
    steer?.(known, {
      pause: () => rest.pause(steer),
      resume: () => rest.resume(steer),
      backlog: (of, group) => backlogOf(runtime, of, group, known.stopping),
    })
}

async function backlogOf(runtime: Runtime, of: Source, group: string, signal: AbortSignal): Promise<number> {
  const spec = await runtime.resolve(of, signal)
  try {
    return (await runtime.driver.lag(spec, group, signal)).backlog
  } catch (error) {
    if (isMessagingError(error, 'not-found')) return 0
    throw error
  }
}
