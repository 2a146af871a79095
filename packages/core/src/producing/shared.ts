import type { Runtime } from '../broker/runtime.ts'
import { type Batcher, batcher } from './batcher.ts'
import { type Entrance, entrance } from './entrance.ts'

/** What all producers of one broker, and its relay, send through. */
export interface Shared {
  readonly batcher: Batcher
  readonly entrance: Entrance
}

const made = new WeakMap<Runtime, Shared>()

/** The one of this broker. */
export function sharedOf(runtime: Runtime): Shared {
  const known = made.get(runtime)
  if (known !== undefined) return known
  const own = batcher(runtime)
  const shared = { batcher: own, entrance: entrance(runtime, own) }
  made.set(runtime, shared)
  return shared
}
