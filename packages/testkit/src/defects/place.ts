import type { Clock, Driver, Source, Subscription } from '@posthorn/core/driver'

/** Where a defect fires: at the `first` occasion, counted from 1, and then at each `every`th after it. */
export interface Place {
  readonly first: number
  readonly every: number
}

/** Asked at each occasion; true: fire now. */
export type Strike = () => boolean

/** A way to be wrong. */
export interface DefectKind {
  readonly sentence: string
  readonly place: Place
  readonly wrap: (driver: Driver, strike: Strike, clock: Clock) => Driver
}

/** On the third occasion, and then once in so many that a short run sees one. */
export const seldom: Place = { first: 3, every: 10_000 }
/** Whenever there is an occasion. */
export const always: Place = { first: 1, every: 1 }
/** The first time only. */
export const once: Place = { first: 1, every: Number.POSITIVE_INFINITY }

/** Counts occasions and how often it fired. */
export function strikesAt({ first, every }: Place): { readonly strike: Strike; readonly fired: () => number } {
  let occasions = 0
  let fired = 0
  return {
    strike() {
      const since = ++occasions - first
      const now = since === 0 || (since > 0 && since % every === 0)
      if (now) fired++
      return now
    },
    fired: () => fired,
  }
}

/**
 * The same object but for some members. Not a copy: drivers, sources and arrivals may keep private state and getters that only their own
 * object answers.
 */
export function but<T extends object>(target: T, changes: Partial<T>): T {
  const bound = new Map<PropertyKey, unknown>()
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(changes, name)) return changes[name as keyof T]
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (!bound.has(name)) bound.set(name, value.bind(target))
      return bound.get(name)
    },
  })
}

/** The driver with every source changed. */
export function withSources(driver: Driver, change: (source: Source, subscription: Subscription) => Source): Driver {
  return but(driver, {
    open: async (subscription, signal) => change(await driver.open(subscription, signal), subscription),
  })
}

/** Settles never, whatever happens. */
export function hanging<T>(): Promise<T> {
  return new Promise(() => {})
}
