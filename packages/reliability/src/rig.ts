// For the tests of this package: a broker in memory whose time stands still unless it is moved.
import { type Adapter, type Broker, type ConnectOptions, connectAdapter, type Store } from '@posthorn/core'
import { type MemoryClient, memory } from '@posthorn/memory'
import { idempotent } from './idempotent.ts'
import { openKeeper } from './keeper.ts'

let logs = 0

/** A broker with the patterns, its clock in hand. `apart`: its store is one of its own, so that messages are relayed. */
export async function rig(options: ConnectOptions & { readonly apart?: boolean } = {}): Promise<{
  readonly broker: Broker
  readonly clock: MemoryClient
  /** Another process on the same log and store. */
  readonly another: () => Promise<Broker>
}> {
  const { apart = false, ...connect } = options
  const log = `rig-${++logs}`
  const adapter = (): Adapter => memory({ log, clock: 'manual' })
  const open = (store?: Store): Promise<Broker> =>
    connectAdapter(
      adapter(),
      { log: false, ...(store === undefined ? {} : { store, singleHost: true }), ...connect },
      { openKeeper, inbox: idempotent },
    )
  const first = await open()
  const clock = first.driver.client as MemoryClient
  if (!apart) return { broker: first, clock, another: open }
  // The same log's store as another object: to the broker it is not its own, so what is held there is relayed.
  const store = { ...first.store }
  return { broker: await open(store), clock, another: () => open(store) }
}
