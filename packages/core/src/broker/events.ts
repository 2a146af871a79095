import { channel } from 'node:diagnostics_channel'
import type { Clock } from '../driver/clock.ts'
import { telling } from '../driver/telling.ts'
import type { Events } from '../face/operating.ts'

/** Typed events of one broker; each is also published on the diagnostics channel `posthorn:<event>`. */
export interface EventBus {
  on<E extends keyof Events>(event: E, listener: (event: Events[E]) => void): () => void
  /** Whether anybody listens: what costs to make is made only then. */
  heard(event: keyof Events): boolean
  emit<E extends keyof Events>(event: E, value: Events[E]): void
  /** One rate-limited line for what nobody listens to. */
  say(line: string): void
}

/** Events that speak on stderr while nobody listens. */
const spoken: { readonly [E in keyof Events]?: (event: Events[E]) => string } = {
  disconnected: ({ error }) => `disconnected: ${error.message}`,
  connected: ({ afterMs }) => `connected again after ${Math.round(afterMs)} ms`,
  'dead-letter': (letter) =>
    `dead letter: ${letter.topic}${letter.group === undefined ? '' : ` of ${letter.group}`} ${letter.id}: ${letter.reason}${letter.error === undefined ? '' : `: ${letter.error.slice(0, 200)}`}`,
  exposed: ({ topic, group, id, why }) => `exposed: message ${id} of ${topic} for ${group}: ${why}`,
  stalled: ({ topic, group, forMs }) =>
    `stalled: ${group} has handled nothing of ${topic} for ${Math.round(forMs / 1000)} s`,
}

/** Makes the bus. `log: false` silences; a function takes the lines. */
export function eventBus(name: string, clock: Clock, log: false | ((line: string) => void) | undefined): EventBus {
  const listeners = new Map<keyof Events, Set<(event: never) => unknown>>()
  const channels = new Map<keyof Events, ReturnType<typeof channel>>()
  const channelOf = (event: keyof Events): ReturnType<typeof channel> => {
    const known = channels.get(event)
    if (known !== undefined) return known
    const made = channel(`posthorn:${event}`)
    channels.set(event, made)
    return made
  }
  const write = log === false ? undefined : (log ?? ((line: string) => void process.stderr.write(`${line}\n`)))
  const say = rateLimited(clock, (line) => {
    try {
      write?.(`posthorn ${name}: ${line.replace(/\p{Cc}/gu, ' ')}`)
    } catch {
      // A log that fails must not fail what it tells of, and there is nowhere left to say so.
    }
  })
  return {
    on(event, listener) {
      const set = listeners.get(event) ?? new Set()
      listeners.set(event, set)
      // A wrapper also so that the same function registered twice is two registrations.
      const own = telling(say, `a listener of '${event}'`, listener as (value: never) => unknown)
      set.add(own)
      return () => void set.delete(own)
    },
    heard: (event) =>
      (listeners.get(event)?.size ?? 0) > 0 || channelOf(event).hasSubscribers || spoken[event] !== undefined,
    emit(event, value) {
      const set = listeners.get(event)
      const wire = channelOf(event)
      if (wire.hasSubscribers) wire.publish(value)
      if (set !== undefined && set.size > 0) {
        for (const listener of set) listener(value as never)
      } else if (!wire.hasSubscribers) {
        const line = spoken[event]
        if (line !== undefined) say(line(value))
      }
    },
    say,
  }
}

/** At most 5 lines in 10 s; what was left out is counted on the next. */
function rateLimited(clock: Clock, write: (line: string) => void): (line: string) => void {
  let since = -Infinity
  let count = 0
  return (line) => {
    const now = clock.now()
    if (now - since > 10_000) {
      if (count > 5) write(`${count - 5} more lines like the last were left out`)
      since = now
      count = 0
    }
    if (++count <= 5) write(line)
  }
}
