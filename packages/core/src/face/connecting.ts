// What `connect` takes.
import type { ConsumeExtension, SendExtension } from './extending.ts'
import type { Store } from './stores.ts'

/** What a broker can do that changes what may be called. `explain()` tells the rest. */
export interface Capabilities {
  readonly replay: boolean
  readonly query: boolean
}
/** Made by an adapter's own function (`rabbitmq(...)`), never by hand. */
export interface Adapter<C extends Capabilities = Capabilities, Client = unknown> {
  readonly name: string
  readonly capabilities: C
  readonly '~adapter': { readonly client: Client }
}
export interface ConnectOptions {
  /** Durable memory beside the broker: outbox, inbox, schedule, half messages, parked keys, locks. */
  readonly store?: string | Store | Adapter | undefined
  /** Prefix of every name on the broker. */
  readonly namespace?: string | undefined
  readonly use?: readonly (SendExtension | ConsumeExtension)[] | undefined
  readonly topology?: 'declare' | 'check' | 'none' | undefined
  readonly connectTimeoutMs?: number | undefined
  /** Where lines go that nobody listens to; default stderr, rate-limited. */
  readonly log?: (false | ((line: string) => void)) | undefined
  /** Says that only one machine uses this store with this broker. */
  readonly singleHost?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}
export interface Config extends ConnectOptions {
  readonly url: string
}
export type Need = keyof Capabilities
/** `C` with these: a function that needs replay takes a `Broker<Having<'replay'>>`. */
export type Having<N extends Need, C extends Capabilities = Capabilities> = {
  readonly [K in Need]: K extends N ? true : C[K]
}
export interface Needs<N extends Need> {
  readonly needs?: readonly N[] | undefined
}
