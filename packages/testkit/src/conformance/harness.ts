import type { Adapter, Broker, Parts } from '@posthorn/core'
import type { Traits } from '@posthorn/core/driver'

/** What the suite is told of an adapter and its broker. An object, so that nothing is inherited by mistake. */
export interface Harness {
  /** As the capability table has it. */
  readonly name: string
  /** A fresh adapter for one scenario. What connects by it reaches one and the same broker, however often. */
  adapter(namespace: string): Adapter | Promise<Adapter>
  /** What this very broker cannot do although the adapter can; the suite holds the driver to its refusals. */
  readonly lacks?: Partial<Traits> | undefined
  /** Lets `ms` pass for this adapter's broker; real waiting unless its clock can be moved. */
  readonly pass?: ((adapter: Adapter, ms: number) => Promise<void>) | undefined
  /** Removes what the scenarios of a namespace left on a broker that stays. */
  readonly cleanUp?: ((namespace: string) => Promise<void>) | undefined
  /** Longest wait for anything that must come. Default 15 s. */
  readonly patienceMs?: number | undefined
  /** How long nothing must come before 'nothing' is believed. Default 300 ms. */
  readonly quietMs?: number | undefined
  /** Scenarios at once. Default 5. */
  readonly concurrency?: number | undefined
  /** What may be done to the broker; scenarios that need one that is missing say so. */
  readonly faults?: Faults | undefined
  /** What the umbrella adds to a connection: scenarios of the patterns need it. */
  readonly parts?: Parts | undefined
  /** The store beside an adapter that has none, of one host; one and the same for a namespace, however often. */
  readonly store?: ((namespace: string) => Adapter) | undefined
  /** Changes each broker that a scenario gets: how a defect of the face gets between core and the scenario. */
  readonly face?: ((broker: Broker) => Broker) | undefined
  /** Talks to the broker by a client that is not ours. */
  readonly foreign?: Foreign | undefined
  /** Which chapters to run; all unless said otherwise. */
  readonly chapters?: ((chapter: { readonly name: string; readonly layer: 'seam' | 'broker' }) => boolean) | undefined
  /** Folder that the outcomes are merged into, one file per adapter, such as `evidence/matrix`; default POSTHORN_MATRIX. */
  readonly matrix?: string | undefined
}

/** Faults that a scenario may cause. Each undoes itself by the function it resolves with. */
export interface Faults {
  /** Cuts the connections that are there; new ones are let through. */
  readonly cut?: (() => Promise<void>) | undefined
  /** Bytes go nowhere, both ways, until the answer is called. */
  readonly blackHole?: (() => Promise<() => Promise<void>>) | undefined
  /** Kills the broker; the answer starts it again. */
  readonly kill?: (() => Promise<() => Promise<void>>) | undefined
  /** Stops the broker's processes; the answer lets them go on. */
  readonly freeze?: (() => Promise<() => Promise<void>>) | undefined
}

/** Another's client on the same broker. */
export interface Foreign {
  /** The `on` of a topic that somebody else owns, made before the scenario reads it. */
  prepare(namespace: string): Promise<unknown>
  /** Puts a message there, without our headers. */
  publish(on: unknown, body: Uint8Array, headers: Readonly<Record<string, string>>): Promise<void>
}
