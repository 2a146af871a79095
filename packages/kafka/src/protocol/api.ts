import type { Fault } from '../errors.ts'

/** A request of Kafka's protocol in the version that we speak; none of these has tagged fields. */
export interface Api {
  readonly key: number
  readonly version: number
  readonly name: string
  /** Whether the broker may hold the answer back: what follows on the same connection would wait, too. */
  readonly waits: boolean
  /** For how long the broker wants no request after this answer. */
  throttleMs(answer: Buffer): number
}

/** The error of a number in Kafka's protocol; undefined where it says that there is none. */
export type FaultOfCode = (code: number, text?: string) => Fault | undefined
