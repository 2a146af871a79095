import { type Clock, pause } from '@posthorn/core/driver'
import { spread } from './backoff.ts'
import type { CommittedOffset, Compression, Member, ProducerIdentity } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { Fault, faultOf, messagingError, moved, passes, tooLarge } from './errors.ts'
import { cut, type Piece, recut } from './pieces.ts'
import type { Part } from './producer.ts'

/** Parts and offsets that count together or not at all, under one transactional id. */
export interface TransactionalProducer {
  /**
   * Resolves with where the batches of each part lie when the commit is decided; rejects with outcome `failed` when it is undone, with `unknown`
   * when nobody knows. Calls wait for each other.
   */
  run(
    parts: readonly Part[],
    offsets: OffsetsOf | undefined,
    signal: AbortSignal,
  ): Promise<readonly (readonly Stored[])[]>
  /** Makes the id ours: an older holder's transaction is undone and it can commit no more. */
  fence(signal: AbortSignal): Promise<void>
}
/** A batch of a part, from its record `first` to the one before `end`. */
export interface Stored extends Pick<Piece, 'end'> {
  readonly first: number
  /** Of its first record. */
  readonly offset: number | undefined
}
/** What of a group is finished by the transaction. */
export interface OffsetsOf {
  readonly member: Member
  readonly offsets: readonly CommittedOffset[]
}

const fenced: ReadonlySet<string> = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'TRANSACTION_COORDINATOR_FENCED',
])

/** A producer of one transactional id. After any error but a clean abort it takes a new epoch first. */
export function transactionalProducer(
  transactionalId: string,
  context: {
    readonly cluster: ClusterMap
    readonly clock: Clock
    readonly compression: Compression
    /** A batch is no larger unless one record is. */
    readonly mostBytes: number
    readonly timeoutMs: number
  },
): TransactionalProducer {
  const { cluster, clock, compression, mostBytes, timeoutMs } = context
  let identity: ProducerIdentity | undefined
  let sequences = new Map<string, number>()
  let last: Promise<unknown> = Promise.resolve()

  /** Tries again what passes by itself, until the signal says to stop. */
  const persist = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    for (let tries = 0; ; tries++) {
      try {
        return await work()
      } catch (error) {
        const fault = faultOf(error)
        if (moved(fault)) cluster.forget({ coordinator: transactionalId })
        if (!passes(fault) || signal.aborted || tries > 20) throw fault
        await pause(clock, spread(Math.min(20 * 2 ** tries, 500)), signal)
      }
    }
  }
  const coordinator = (): Promise<number> => cluster.coordinator('transaction', transactionalId)
  const begin = async (signal: AbortSignal): Promise<ProducerIdentity> => {
    if (identity !== undefined) return identity
    sequences = new Map()
    identity = await persist(signal, async () =>
      cluster.wire.initProducer(await coordinator(), transactionalId, timeoutMs),
    )
    return identity
  }
  const produce = async (producer: ProducerIdentity, part: Piece, signal: AbortSignal): Promise<number | undefined> => {
    const key = `${part.partition}/${part.topic}`
    const sequence = sequences.get(key) ?? 0
    const offset = await persist(signal, async () => {
      const [answer] = await cluster.wire.produce(await cluster.leader(part.topic, part.partition), {
        identity: producer,
        transactionalId,
        compression,
        timeoutMs,
        parts: [{ ...part, sequence }],
      })
      const fault = answer?.fault
      if (fault === undefined || fault.type === 'DUPLICATE_SEQUENCE_NUMBER') return answer?.offset
      cluster.forget({ topic: part.topic })
      throw fault
    })
    sequences.set(key, sequence + part.records.length)
    return offset
  }
  /** A part in as many batches as it takes. */
  const produceAll = async (
    producer: ProducerIdentity,
    part: Part,
    signal: AbortSignal,
  ): Promise<readonly Stored[]> => {
    const stored: Stored[] = []
    const pieces = [...cut(part, mostBytes)]
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift())
      try {
        const { end, records } = piece
        stored.push({ first: end - records.length, end, offset: await produce(producer, piece, signal) })
      } catch (error) {
        if (!tooLarge(faultOf(error)) || piece.records.length === 1) throw error
        pieces.unshift(...recut(piece))
      }
    return stored
  }
  const attempt = async (parts: readonly Part[], finished: OffsetsOf | undefined, signal: AbortSignal) => {
    const producer = await begin(signal)
    const transaction = { ...producer, transactionalId }
    let ending = false
    try {
      const partitions = parts.map(({ topic, partition }) => ({ topic, partition }))
      if (partitions.length > 0)
        await persist(signal, async () => cluster.wire.addPartitions(await coordinator(), transaction, partitions))
      const offsets: (readonly Stored[])[] = []
      for (const part of parts) offsets.push(await produceAll(producer, part, signal))
      if (finished !== undefined) {
        const { group } = finished.member
        await persist(signal, async () => cluster.wire.addOffsets(await coordinator(), transaction, group))
        await persist(signal, async () => {
          try {
            const node = await cluster.coordinator('group', group)
            await cluster.wire.commitInTransaction(node, transaction, finished.member, finished.offsets)
          } catch (error) {
            if (moved(faultOf(error))) cluster.forget({ coordinator: group })
            throw error
          }
        })
      }
      if (signal.aborted) throw new Fault('client', 'ABORTED', 'the time was up before the commit')
      ending = true
      await persist(signal, async () => cluster.wire.endTransaction(await coordinator(), transaction, true))
      return offsets
    } catch (error) {
      const fault = faultOf(error)
      // A new epoch undoes what is open; the next call takes one, the broker's own time-out does it else.
      identity = undefined
      if (!ending && !fenced.has(fault.type))
        await cluster
          .coordinator('transaction', transactionalId)
          .then((node) => cluster.wire.endTransaction(node, transaction, false))
          .catch(() => {})
      const unknown = ending && !fenced.has(fault.type)
      throw messagingError(fault, `the transaction ${transactionalId} did not commit`, unknown ? 'unknown' : 'failed')
    }
  }
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work, work)
    last = result.catch(() => {})
    return result
  }
  return {
    run: (parts, finished, signal) => inTurn(() => attempt(parts, finished, signal)),
    fence: (signal) =>
      inTurn(async () => {
        identity = undefined
        await begin(signal)
      }),
  }
}
