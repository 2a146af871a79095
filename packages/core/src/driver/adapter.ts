import type { Adapter, Capabilities } from '../face/connecting.ts'
import type { Store } from '../face/stores.ts'
import type { Clock } from './clock.ts'
import type { Driver, DriverContext, Traits } from './seam.ts'

/** What an adapter is made of; held under `~adapter`. */
export interface AdapterPlan<Client = unknown> {
  readonly traits: Traits
  /** Opens the connection or rejects with `unavailable` or `unauthorized` within `connectTimeoutMs`. */
  readonly connect: (context: DriverContext) => Promise<Driver<Client>>
  /** Opens the store alone, for `connect({ url, store })`. */
  readonly openStore?: ((context: DriverContext) => Promise<Store>) | undefined
  /** Whose time all waiting goes by; the system's unless the adapter brings its own. */
  readonly clock?: Clock | undefined
  /** Whether nothing survives the process: refused in production unless asked for. */
  readonly volatile?: boolean | undefined
  /** Says that it was asked for. */
  readonly volatileAllowed?: boolean | undefined
  /** Where it connects, without secrets, for errors and `explain()`. */
  readonly address: string
}

/** Makes an adapter of its parts. */
export function defineAdapter<const C extends Capabilities, Client>(
  name: string,
  capabilities: C,
  plan: AdapterPlan<Client>,
): Adapter<C, Client> {
  // `client` is a type only: nothing has it before the connection is there.
  return { name, capabilities, '~adapter': plan as AdapterPlan<Client> & { readonly client: Client } }
}

/** The parts of an adapter. */
export function planOf<Client>(adapter: Adapter<Capabilities, Client>): AdapterPlan<Client> {
  return adapter['~adapter'] as unknown as AdapterPlan<Client>
}
