import { MessagingError } from '@posthorn/core'
import { type Clock, pause } from '@posthorn/core/driver'
import { spread } from './backoff.ts'
import type { Compression, KafkaRecord, ProducerIdentity } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { absent, ambiguous, type Fault, faultOf, messagingError, moved, passes, tooLarge } from './errors.ts'
import { cut, type Piece, recut } from './pieces.ts'

/** Messages for one partition, in order. */
export interface Part {
  readonly topic: string
  readonly partition: number
  readonly records: readonly KafkaRecord[]
}
/** Where the first record of a batch lies, or what became of it. */
export type BatchResult =
  | { readonly ok: true; readonly offset: number | undefined }
  | { readonly ok: false; readonly error: MessagingError }
/** Of a part, in order: its batches, each up to the record before `end`. Mostly one. */
export type PartResult = readonly (Pick<Piece, 'end'> & { readonly first: number; readonly result: BatchResult })[]

/** Sends parts, one batch of a partition at a time, each stored exactly once: a batch without an answer is repeated with the same sequence numbers. */
export interface IdempotentProducer {
  /** One result per part. Never called twice at once. After an abort it settles at once, what is open as `unknown`. */
  send(parts: readonly Part[], signal: AbortSignal): Promise<readonly PartResult[]>
  /**
   * Takes the record at this place of a part back, and with it its batch and what comes behind: they end as failed and may be tried again. False where
   * it is written, or was.
   */
  withdraw(part: Part, index: number): boolean
}

/** What it needs. */
export interface ProducerContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly compression: Compression
  /** A batch is no larger unless one record is. */
  readonly mostBytes: number
  readonly requestTimeoutMs: number
  /** A request failed on the connection; or one succeeded. */
  readonly report: (fault: Fault | undefined) => void
}

/** Of a batch that is under way. */
interface Flight {
  readonly piece: Piece
  readonly part: Part
  /** Which part it is. */
  readonly of: number
  readonly key: string
  result: BatchResult | undefined
  /** Written, and not answered yet. */
  underWay: boolean
  /** Whether some try of it may have been stored. */
  doubtful: boolean
  /** Since when every broker that was asked said that there is no such topic. */
  absentSince: number | undefined
  last: Fault | undefined
}

/** How long a broker may not know a topic that others know; then there is none. */
const absentMs = 3_000

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
  const { cluster, clock, compression, mostBytes, requestTimeoutMs, report } = context
  let identity: ProducerIdentity | undefined
  let sequences = new Map<string, number>()
  /** Of topics that take less than we thought. */
  const limits = new Map<string, number>()
  /** Batches of the call under way. */
  let flights: readonly Flight[] = []

  const renew = (): void => {
    identity = undefined
    sequences = new Map()
  }
  /** One try of these, each of another partition. Once its time is over it writes nothing: what is sent meanwhile may not be overtaken by it. */
  const attempt = async (tried: readonly Flight[], signal: AbortSignal): Promise<void> => {
    const producer = identity ?? (await cluster.wire.initProducer(undefined, undefined, 60_000))
    if (signal.aborted) return
    identity = producer
    const nodes = new Map<number, Flight[]>()
    for (const flight of tried) {
      try {
        const node = await cluster.leader(flight.piece.topic, flight.piece.partition)
        nodes.set(node, [...(nodes.get(node) ?? []), flight])
      } catch (error) {
        conclude(producer, flight, faultOf(error), undefined)
      }
    }
    if (signal.aborted) return
    await Promise.all(
      [...nodes].map(async ([node, those]) => {
        // Who was withdrawn meanwhile has its result.
        const some = those.filter(({ result }) => result === undefined)
        if (some.length === 0) return
        try {
          for (const flight of some) flight.underWay = true
          const answers = await cluster.wire.produce(node, {
            identity: producer,
            transactionalId: undefined,
            compression,
            timeoutMs: requestTimeoutMs - 1_000,
            parts: some.map(({ piece, key }) => ({ ...piece, sequence: sequences.get(key) ?? 0 })),
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
    if (flight.result !== undefined) return
    const { piece, key } = flight
    flight.underWay = false
    if (fault === undefined || fault.type === 'DUPLICATE_SEQUENCE_NUMBER') {
      if (producer === identity) sequences.set(key, ((sequences.get(key) ?? 0) + piece.records.length) % 0x80000000)
      flight.result = { ok: true, offset: fault === undefined ? offset : undefined }
      return
    }
    flight.last = fault
    if (moved(fault)) cluster.forget({ topic: piece.topic })
    if (newIdentity.has(fault.type) && !flight.doubtful) {
      renew()
      return
    }
    if (ambiguous(fault)) flight.doubtful = true
    if (absent(fault)) flight.absentSince ??= clock.now()
    else flight.absentSince = undefined
    const isGone = flight.absentSince !== undefined && clock.now() - flight.absentSince > absentMs
    if ((passes(fault) && !isGone) || divisible(flight)) return
    if (newIdentity.has(fault.type)) renew()
    flight.result = {
      ok: false,
      error: messagingError(fault, describe(piece), flight.doubtful ? 'unknown' : 'failed'),
    }
  }
  /** In the place of each that is too large for its topic: smaller ones. */
  const divided = (): readonly Flight[] => {
    if (!flights.some(divisible)) return flights
    return flights.flatMap((flight) => {
      if (!divisible(flight)) return [flight]
      limits.set(flight.piece.topic, flight.piece.bytes / 2)
      return recut(flight.piece).map((piece) => flightOf(piece, flight.part, flight.of))
    })
  }
  return {
    async send(parts, signal) {
      flights = parts.flatMap((part, of) =>
        cut(part, limits.get(part.topic) ?? mostBytes).map((piece) => flightOf(piece, part, of)),
      )
      for (let tries = 0; ; ) {
        const open = foremost(flights)
        if (open.length === 0) break
        if (tries > 0) await pause(clock, spread(Math.min(50 * 2 ** tries, 1_000)), signal)
        if (signal.aborted) break
        const producer = identity
        const under = attempt(open, signal).catch((error: unknown) => {
          // No producer id: nothing was written.
          const fault = faultOf(error)
          if (fault.kind === 'connection' || fault.kind === 'refused') report(fault)
          for (const flight of open) conclude(undefined, flight, fault, undefined)
        })
        if (await aborted(under, signal)) {
          for (const flight of open) if (flight.underWay) flight.doubtful = true
          break
        }
        // A new producer id while some of the batch lies under the old one: those that are open may not be repeated.
        if (producer !== undefined && identity !== producer)
          for (const flight of open) if (flight.result === undefined && flight.doubtful) giveUp(flight)
        flights = divided()
        for (const flight of open) holdBack(flights, flight)
        tries = open.some((flight) => flight.result === undefined && !divisible(flight)) ? tries + 1 : 0
      }
      if (flights.some(({ result, doubtful }) => result?.ok !== true && doubtful)) renew()
      const results = parts.map((): PartResult[number][] => [])
      for (const flight of flights) {
        const { end, records } = flight.piece
        results[flight.of]?.push({ first: end - records.length, end, result: flight.result ?? giveUp(flight) })
      }
      flights = []
      return results
    },
    withdraw(part, index) {
      const flight = flights.find(
        (each) => each.part === part && index < each.piece.end && index >= each.piece.end - each.piece.records.length,
      )
      if (flight === undefined || flight.underWay || flight.doubtful) return false
      if (flight.result !== undefined) return !flight.result.ok
      flight.result = { ok: false, error: unwritten(flight) }
      holdBack(flights, flight)
      return true
    },
  }
}

function flightOf(piece: Piece, part: Part, of: number): Flight {
  const key = `${piece.partition}/${piece.topic}`
  return {
    piece,
    part,
    of,
    key,
    result: undefined,
    underWay: false,
    doubtful: false,
    absentSince: undefined,
    last: undefined,
  }
}

/** Of what is open, what may go out: of each partition the first. */
function foremost(flights: readonly Flight[]): readonly Flight[] {
  const keys = new Set<string>()
  return flights.filter(({ result, key }) => result === undefined && keys.size < keys.add(key).size)
}

function divisible({ last, piece, result }: Flight): boolean {
  return result === undefined && last !== undefined && tooLarge(last) && piece.records.length > 1
}

/** What lies behind a batch that will be tried again must not come before it. */
function holdBack(flights: readonly Flight[], { key, result }: Flight): void {
  if (result === undefined || result.ok || !result.error.retryable) return
  const { code, message } = result.error
  for (const each of flights)
    if (each.key === key && each.result === undefined)
      each.result = {
        ok: false,
        error: new MessagingError(code, `${describe(each.piece)}: what comes before was not: ${message}`, {
          cause: result.error,
        }),
      }
}

/** It was taken back for one of its messages, whose time was over. */
function unwritten({ piece, last }: Flight): MessagingError {
  return new MessagingError('unavailable', `${describe(piece)}: ${last?.message ?? 'it was not written in time'}`, {
    cause: last,
  })
}

function describe(part: Part): string {
  return `${part.records.length} messages could not be sent to partition ${part.partition} of ${part.topic}`
}

function giveUp(flight: Flight): BatchResult {
  const reason = flight.last === undefined ? 'no answer in time' : flight.last.message
  const error = new MessagingError('timeout', `${describe(flight.piece)}: ${reason}`, {
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
