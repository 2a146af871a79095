import { MessagingError } from '@posthorn/core'
import { type Clock, pause } from '@posthorn/core/driver'
import { spread } from './backoff.ts'
import type { Compression, KafkaRecord, ProducerIdentity } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { ambiguous, type Fault, faultOf, messagingError, moved, passes } from './errors.ts'

/** Messages for one partition, in order. */
export interface Part {
  readonly topic: string
  readonly partition: number
  readonly records: readonly KafkaRecord[]
}
/** Where the first record of a part lies, or what became of it. */
export type PartResult =
  | { readonly ok: true; readonly offset: number | undefined }
  | { readonly ok: false; readonly error: MessagingError }

/** Sends parts, one batch at a time, each stored exactly once: a batch without an answer is repeated with the same sequence numbers. */
export interface IdempotentProducer {
  /** One result per part. Never called twice at once. After an abort it settles at once, what is open as `unknown`. */
  send(parts: readonly Part[], signal: AbortSignal): Promise<readonly PartResult[]>
}

/** What it needs. */
export interface ProducerContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly compression: Compression
  readonly requestTimeoutMs: number
  /** A request failed on the connection; or one succeeded. */
  readonly report: (fault: Fault | undefined) => void
}

/** Of a part that is under way. */
interface Flight {
  readonly part: Part
  readonly key: string
  result: PartResult | undefined
  /** Whether some try of it may have been stored. */
  doubtful: boolean
  last: Fault | undefined
}

const newIdentity: ReadonlySet<string> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
])

/**
 * The sequence of a partition rises only with an answer that says so. A batch that ends without one leaves the broker's count unknown: from
 * then on a new producer id is used, so that no later batch can be taken for the repetition of the lost one (which would drop it).
 */
export function idempotentProducer(context: ProducerContext): IdempotentProducer {
  const { cluster, clock, compression, requestTimeoutMs, report } = context
  let identity: ProducerIdentity | undefined
  let sequences = new Map<string, number>()

  const renew = (): void => {
    identity = undefined
    sequences = new Map()
  }
  /** One try of everything that is open. */
  const attempt = async (flights: readonly Flight[]): Promise<void> => {
    identity ??= await cluster.wire.initProducer(undefined, undefined, 60_000)
    const producer = identity
    const nodes = new Map<number, Flight[]>()
    for (const flight of flights) {
      try {
        const node = await cluster.leader(flight.part.topic, flight.part.partition)
        nodes.set(node, [...(nodes.get(node) ?? []), flight])
      } catch (error) {
        conclude(producer, flight, faultOf(error), undefined)
      }
    }
    await Promise.all(
      [...nodes].map(async ([node, some]) => {
        try {
          const answers = await cluster.wire.produce(node, {
            identity: producer,
            transactionalId: undefined,
            compression,
            timeoutMs: requestTimeoutMs - 1_000,
            parts: some.map(({ part, key }) => ({ ...part, sequence: sequences.get(key) ?? 0 })),
          })
          report(undefined)
          some.forEach((flight, i) => {
            conclude(producer, flight, answers[i]?.fault, answers[i]?.offset)
          })
        } catch (error) {
          const fault = faultOf(error)
          if (fault.kind === 'connection' || fault.kind === 'refused') report(fault)
          for (const flight of some) conclude(producer, flight, fault, undefined)
        }
      }),
    )
  }
  const conclude = (
    producer: ProducerIdentity | undefined,
    flight: Flight,
    fault: Fault | undefined,
    offset: number | undefined,
  ): void => {
    const { part, key } = flight
    if (fault === undefined || fault.type === 'DUPLICATE_SEQUENCE_NUMBER') {
      if (producer === identity) sequences.set(key, ((sequences.get(key) ?? 0) + part.records.length) % 0x80000000)
      flight.result = { ok: true, offset: fault === undefined ? offset : undefined }
      return
    }
    flight.last = fault
    if (moved(fault)) cluster.forget({ topic: part.topic })
    if (newIdentity.has(fault.type) && !flight.doubtful) {
      renew()
      return
    }
    if (ambiguous(fault)) flight.doubtful = true
    if (passes(fault)) return
    if (newIdentity.has(fault.type)) renew()
    flight.result = {
      ok: false,
      error: messagingError(fault, describe(part), flight.doubtful ? 'unknown' : 'failed'),
    }
  }
  return {
    async send(parts, signal) {
      const flights: Flight[] = parts.map((part) => ({
        part,
        key: `${part.partition}/${part.topic}`,
        result: undefined,
        doubtful: false,
        last: undefined,
      }))
      for (let tries = 0; ; tries++) {
        const open = flights.filter(({ result }) => result === undefined)
        if (open.length === 0) break
        if (tries > 0) await pause(clock, spread(Math.min(50 * 2 ** tries, 1_000)), signal)
        if (signal.aborted) break
        const producer = identity
        const under = attempt(open).catch((error: unknown) => {
          // No producer id: nothing was written.
          const fault = faultOf(error)
          if (fault.kind === 'connection' || fault.kind === 'refused') report(fault)
          for (const flight of open) conclude(undefined, flight, fault, undefined)
        })
        if (await aborted(under, signal)) {
          for (const flight of open) flight.doubtful = true
          break
        }
        // A new producer id while some of the batch lies under the old one: those that are open may not be repeated.
        if (producer !== undefined && identity !== producer)
          for (const flight of open) if (flight.result === undefined && flight.doubtful) giveUp(flight)
      }
      if (flights.some(({ result, doubtful }) => result?.ok !== true && doubtful)) renew()
      return flights.map((flight) => flight.result ?? giveUp(flight))
    },
  }
}

function describe(part: Part): string {
  return `${part.records.length} messages could not be sent to partition ${part.partition} of ${part.topic}`
}

function giveUp(flight: Flight): PartResult {
  const reason = flight.last === undefined ? 'no answer in time' : flight.last.message
  const error = new MessagingError('timeout', `${describe(flight.part)}: ${reason}`, {
    outcome: flight.doubtful ? 'unknown' : 'failed',
    cause: flight.last,
  })
  flight.result = { ok: false, error }
  return flight.result
}

/** Waits for work, but not past an abort; whether it was aborted. The work goes on unheard. */
export async function aborted(work: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return true
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(true)
    signal.addEventListener('abort', stop, { once: true })
    work.then(() => resolve(false), reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
