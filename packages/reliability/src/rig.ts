// For the tests of this package: a broker in memory whose time stands still unless it is moved.
import { type Adapter, type Broker, type ConnectOptions, connectAdapter, type Parts, type Store } from '@posthorn/core'
import {
  type Clock,
  type Driver,
  defineStore,
  type Held,
  partsOf,
  pause,
  planOf,
  type Traits,
} from '@posthorn/core/driver'
import { type MemoryClient, memory } from '@posthorn/memory'
import { idempotent } from './idempotent.ts'
import { openKeeper } from './keeper.ts'
import { type Death, life, mortalAdapter, mortalStore } from './mortal.ts'
import { slots } from './slots.ts'

let logs = 0

/** What is wrong in a world. */
interface Faults {
  readonly send?: ((send: Driver['send']) => Driver['send']) | undefined
  /** Of a store that is apart. */
  readonly held?: ((held: Held) => Held) | undefined
}

/** A broker with the patterns, its clock in hand. `apart`: its store is one of its own, so that messages are relayed. */
export async function rig(
  options: ConnectOptions & {
    readonly apart?: boolean
    readonly traits?: Partial<Traits>
    readonly faults?: Faults
  } = {},
): Promise<{
  readonly broker: Broker
  readonly clock: MemoryClient
  /** Resolves when so much time has passed: what a handler takes. */
  readonly takes: (ms: number) => Promise<void>
  /** Another process on the same log and store; it may die. */
  readonly another: (death?: Death) => Promise<Broker>
}> {
  const { apart = false, traits, faults = {}, ...connect } = options
  const log = `rig-${++logs}`
  const adapter = (lived = life(undefined)): Adapter =>
    mortalAdapter(memory({ log, clock: 'manual' }), lived, { traits, send: faults.send })
  const patterns = { openKeeper, inbox: idempotent, slots }
  const open = (store?: Store, lived?: ReturnType<typeof life>, parts: Parts = patterns): Promise<Broker> =>
    connectAdapter(
      adapter(lived),
      { log: false, ...(store === undefined ? {} : { store, singleHost: true }), ...connect },
      parts,
    )
  // Where the store is apart it only lends it: it relays nothing.
  const first = await open(undefined, undefined, apart ? {} : patterns)
  const clock = first.driver.client as MemoryClient
  const takes = async (ms: number): Promise<void> => {
    await pause(planOf(adapter()).clock as Clock, ms)
  }
  if (!apart) return { broker: first, clock, takes, another: (death) => open(undefined, life(death)) }
  // The same log's store as another object: to the broker it is not its own, so what is held there is relayed.
  const parts = partsOf(first.store)
  const store = defineStore({ ...parts, held: faults.held?.(parts.held as Held) ?? parts.held, close: async () => {} })
  return { broker: await open(store), clock, takes, another: (death) => another(store, death) }

  // One life for both: the process that dies takes its driver and its store with it.
  function another(store: Store, death: Death | undefined): Promise<Broker> {
    const lived = life(death)
    return open(death === undefined ? store : mortalStore(store, lived), lived)
  }
}
