// The one shape of extension.
import type { Delivery, Verdict } from './handling.ts'
import type { MessageHeaders } from './messages.ts'
import type { PostOptions, Receipt } from './sending.ts'

export type Next<In, Out> = (input: In) => Promise<Out>
export type Middleware<In, Out> = (next: Next<In, Out>) => Next<In, Out>
export interface Outgoing extends PostOptions {
  readonly id: string
  readonly topic: string
  readonly headers: MessageHeaders
  readonly body: unknown
}
export interface SendExtension {
  readonly name?: string | undefined
  readonly send: Middleware<Outgoing, Receipt>
}
export interface ConsumeExtension {
  readonly name?: string | undefined
  readonly consume: Middleware<Delivery, Verdict>
}
/** Both halves: fits everywhere. */
export interface Extension extends SendExtension, ConsumeExtension {}

export type Backoff = (attempt: number) => number
