import { MessagingError } from '@posthorn/core'
import { type Clock, type Dispatch, type Driver, newId, type SendResult } from '@posthorn/core/driver'
import type { KafkaRecord, Partition } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import type { Transact } from './effects.ts'
import { type Fault, messagingError } from './errors.ts'
import type { Names } from './names.ts'
import { roomForHeaders, type Settings } from './options.ts'
import { aborted, idempotentProducer, type Part } from './producer.ts'
import { type Routed, type Router, router } from './routing.ts'
import type { Topology } from './topology.ts'
import { type TransactionalProducer, transactionalProducer } from './transactions.ts'

/** Everything that a driver sends: batches, transactions of consumers, tombstones of shelves. */
export interface Sending
  extends Required<Pick<Driver, 'send' | 'withdraw'>>,
    Pick<Router, 'prepareReplies' | 'prepareGroup' | 'forget'> {
  /** To the one partition of a topic of ours. */
  write(topic: string, records: readonly KafkaRecord[], signal: AbortSignal): Promise<void>
  readonly transact: Transact
}

/** What it needs. */
export interface SendingContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly names: Names
  readonly layout: Topology
  readonly settings: Settings
  readonly requestTimeoutMs: number
  readonly report: (fault: Fault | undefined) => void
  readonly closing: AbortSignal
}

type Results = readonly SendResult[]

/** A batch under way. */
interface Batch {
  /** Where its messages went; undefined until the producer has it. */
  routed: Routed | undefined
  /** Something of it was withdrawn before: all of it may be tried again. */
  isBack: boolean
}

/** Over one idempotent producer and a transactional one for each group and partition. */
export function sending(context: SendingContext): Sending {
  const { cluster, clock, names, layout, settings, requestTimeoutMs, report, closing } = context
  const { compression } = settings
  const route = router({ cluster, names, layout, settings, now: () => clock.now() })
  const mostBytes = mostBytesOf(settings)
  const producer = idempotentProducer({ cluster, clock, compression, mostBytes, requestTimeoutMs, report })
  const transactional = producers(context)
  const own = `posthorn.-.${newId(clock.now())}`
  let last: Promise<unknown> = Promise.resolve()

  const underWay = new Map<readonly Dispatch[], Batch>()

  /** The producer takes one batch at a time; tombstones of shelves come between the batches of core. */
  const produce = (parts: readonly Part[], signal: AbortSignal, begin = (): void => {}) => {
    const result = last.then(() => {
      begin()
      return producer.send(parts, signal)
    })
    last = result.catch(() => {})
    return result
  }
  const together = async (batch: readonly Dispatch[], signal: AbortSignal): Promise<Results> => {
    const { parts, places } = allOf(await route(batch))
    const offsets = await transactional(own).run(parts, undefined, signal)
    return places.map(({ part, index }) => {
      const { first = 0, offset } = offsets[part]?.find(({ end }) => index < end) ?? {}
      return { ok: true, position: positionIn(parts[part] as Part, offset, index - first) }
    })
  }
  const each = async (batch: readonly Dispatch[], signal: AbortSignal): Promise<Results> => {
    const own: Batch = { routed: undefined, isBack: false }
    underWay.set(batch, own)
    const { parts, places, results } = await route(batch)
    const begin = (): void => {
      if (own.isBack) throw new MessagingError('unavailable', 'the batch was taken back before any of it was written')
      own.routed = { parts, places, results }
    }
    const sent = parts.length === 0 ? [] : await produce(parts, signal, begin)
    return batch.map((_, i): SendResult => {
      const refused = results[i]
      if (refused !== undefined) return refused
      const { part, index } = places[i] as { part: number; index: number }
      const batch = sent[part]?.find(({ end }) => index < end)
      if (batch === undefined) throw new MessagingError('internal', 'a part of the batch has no result')
      const { first, result } = batch
      if (!result.ok) {
        // A topic of ours beside another is made again by the next that needs it.
        if (result.error.code === 'not-found') route.forget([(parts[part] as Part).topic])
        return result
      }
      return { ok: true, position: positionIn(parts[part] as Part, result.offset, index - first) }
    })
  }
  const idOf = (group: string, { topic, partition }: Partition): string =>
    `posthorn.-.${group}.-.${topic}.-.${partition}`
  return {
    prepareReplies: route.prepareReplies,
    prepareGroup: route.prepareGroup,
    forget: route.forget,
    transact: {
      fence: (group, of, signal) => transactional(idOf(group, of)).fence(signal),
      async run(group, of, sends, member, offsets, signal) {
        const { parts } = allOf(await route(sends))
        await transactional(idOf(group, of)).run(parts, { member, offsets }, signal)
      },
    },
    async write(topic, records, signal) {
      const [sent = []] = await produce([{ topic, partition: 0, records }], signal)
      for (const { result } of sent) if (!result.ok) throw result.error
    },
    async send(batch, control) {
      const failed = (error: MessagingError): Results => batch.map(() => ({ ok: false, error }))
      if (closing.aborted) return failed(over())
      const signal = AbortSignal.any([control.signal, closing])
      const work =
        control.atomic === true ? together(batch, signal) : each(batch, signal).finally(() => underWay.delete(batch))
      const results = work.catch((error: unknown) => failed(messagingError(error, 'the batch was not sent')))
      if (!(await aborted(results, within(signal, clock)))) return results
      // The idempotent producer answers by itself: what it has not begun by now it does not write any more.
      const outcome = control.atomic === true ? 'unknown' : 'failed'
      return failed(new MessagingError('timeout', 'the batch got no answer in time', { outcome }))
    },
    withdraw(batch, message) {
      const own = underWay.get(batch)
      if (own === undefined) return false
      if (own.routed === undefined) {
        own.isBack = true
        return true
      }
      const at = batch.indexOf(message)
      const place = own.routed.places[at]
      // What was refused goes nowhere.
      if (place === undefined) return own.routed.results[at] !== undefined
      return producer.withdraw(own.routed.parts[place.part] as Part, place.index)
    },
  }
}

/** What everything says after the end. */
export function over(): MessagingError {
  return new MessagingError('closed', 'the broker was closed')
}

/** Of a batch: a body as large as it may be, and its headers. */
function mostBytesOf({ maxBytes }: Settings): number {
  return maxBytes + roomForHeaders
}

/** The producers of transactional ids, made when they are first asked for. */
function producers({
  cluster,
  clock,
  settings,
  requestTimeoutMs,
}: SendingContext): (id: string) => TransactionalProducer {
  const made = new Map<string, TransactionalProducer>()
  return (id) => {
    const found = made.get(id)
    if (found !== undefined) return found
    const { compression } = settings
    const mostBytes = mostBytesOf(settings)
    const producer = transactionalProducer(id, { cluster, clock, compression, mostBytes, timeoutMs: requestTimeoutMs })
    made.set(id, producer)
    return producer
  }
}

/** All or none: where one message cannot be sent, that one's error. */
function allOf(routed: Routed): Routed {
  for (const result of routed.results) if (result?.ok === false) throw result.error
  return routed
}

function positionIn({ partition }: Part, offset: number | undefined, index: number): string | undefined {
  return offset === undefined ? undefined : `${partition}:${offset + index}`
}

/** A little later than the caller's signal: time for what has just arrived to be told. */
function within(signal: AbortSignal, clock: Clock): AbortSignal {
  const late = new AbortController()
  const arm = (): void => void clock.after(500, () => late.abort(), { unref: true })
  if (signal.aborted) arm()
  else signal.addEventListener('abort', arm, { once: true })
  return late.signal
}
