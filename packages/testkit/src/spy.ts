import type { Broker, Events } from '@posthorn/core'
import { callable, checkOptions, checkValue, ms, oneOf, type Rule, type Shape } from '@posthorn/core/driver'

/** What a spy can wait for. */
export type Watched = 'sent' | 'send-failed' | 'handled' | 'retry' | 'dead-letter'

/** Which event is meant; what is left out may be anything. */
export interface Wanted<E extends Watched> {
  readonly id?: string | undefined
  readonly topic?: string | undefined
  readonly group?: string | undefined
  readonly where?: ((event: Events[E]) => boolean) | undefined
  /** Default 5 s. */
  readonly withinMs?: number | undefined
}

/** Awaits what becomes of messages, so that a test needs no sleeps. */
export interface Spy {
  /** Resolves with the first event that fits, also one that was before; rejects when none came in time. */
  seen<E extends Watched>(event: E, wanted?: Wanted<E>): Promise<Events[E]>
  /** All events of this kind so far. */
  all<E extends Watched>(event: E): readonly Events[E][]
  /** Forgets what was. */
  clear(): void
  /** Stops listening. */
  stop(): void
}

const watched: readonly Watched[] = ['sent', 'send-failed', 'handled', 'retry', 'dead-letter']

const anyText: Rule = (value) => (typeof value === 'string' ? undefined : 'a text')
const wantedShape = { id: anyText, topic: anyText, group: anyText, where: callable, withinMs: ms() } satisfies Shape
const eventRule = oneOf(...watched)

/** Listens to a broker from now on. */
export function spy(broker: Pick<Broker, 'on'>): Spy {
  const past = new Map<Watched, Events[Watched][]>(watched.map((event) => [event, []]))
  const asked = new Set<(event: Watched, value: Events[Watched]) => void>()
  const stops = watched.map((event) =>
    broker.on(event, (value) => {
      past.get(event)?.push(value)
      for (const call of [...asked]) call(event, value)
    }),
  )
  const fits = <E extends Watched>(value: Events[E], { id, topic, group, where }: Wanted<E>): boolean =>
    (id === undefined || value.id === id) &&
    (topic === undefined || value.topic === topic) &&
    (group === undefined || ('group' in value && value.group === group)) &&
    (where === undefined || where(value))
  const all = <E extends Watched>(event: E): readonly Events[E][] => {
    checkValue('spy()', 'the event', event, eventRule, true)
    return past.get(event) as Events[E][]
  }
  return {
    all,
    seen<E extends Watched>(event: E, wanted: Wanted<E> = {}): Promise<Events[E]> {
      checkOptions('seen()', wanted, wantedShape)
      const found = all(event).find((value) => fits(value, wanted))
      if (found !== undefined) return Promise.resolve(found)
      const withinMs = wanted.withinMs ?? 5_000
      return new Promise((resolve, reject) => {
        const call = (kind: Watched, value: Events[Watched]): void => {
          if (kind !== event || !fits(value as Events[E], wanted)) return
          end()
          resolve(value as Events[E])
        }
        const timer = setTimeout(() => {
          end()
          reject(new Error(`no '${event}' that fits ${describe(wanted)} within ${withinMs} ms; there were ${counts()}`))
        }, withinMs)
        const end = (): void => {
          clearTimeout(timer)
          asked.delete(call)
        }
        asked.add(call)
      })
    },
    clear() {
      for (const list of past.values()) list.length = 0
    },
    stop() {
      for (const stop of stops) stop()
    },
  }

  function counts(): string {
    return [...past].map(([event, list]) => `${list.length} '${event}'`).join(', ')
  }
}

function describe({ id, topic, group, where }: Wanted<never>): string {
  const named = Object.entries({ id, topic, group }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} ${value}`],
  )
  return [...named, ...(where === undefined ? [] : ['the condition'])].join(' and ') || 'anything'
}
