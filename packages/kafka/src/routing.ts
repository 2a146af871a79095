import { MessagingError } from '@posthorn/core'
import type { Dispatch, SendResult } from '@posthorn/core/driver'
import type { KafkaRecord } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { recordOf } from './convert.ts'
import { messagingError } from './errors.ts'
import { type Names, retrySteps } from './names.ts'
import type { Settings } from './options.ts'
import { partitionOfKey } from './partitioner.ts'
import type { Part } from './producer.ts'
import { letterKey, shelfSettings } from './shelf.ts'
import type { Beside, Topology } from './topology.ts'

/** A batch as parts, one per partition, in order. */
export interface Routed {
  readonly parts: readonly Part[]
  /** Of each message: its part and its place in it. */
  readonly places: readonly { readonly part: number; readonly index: number }[]
  /** Of each message that cannot be sent at all. */
  readonly results: readonly (SendResult | undefined)[]
}
/** Finds the partition of each message, and makes topics of ours that are missing. */
export interface Router {
  (batch: readonly Dispatch[]): Promise<Routed>
  readonly prepareReplies: () => Promise<void>
  /**
   * Makes the retry topic that most retries of a group need, so that the first one does not wait for it. Where operators make the topics, it looks for all
   * that the group may need: better now than when something fails.
   */
  readonly prepareGroup: (topic: string, group: string) => Promise<void>
  /** These are gone, and made again when they are needed. */
  readonly forget: (topics: readonly string[]) => void
}

/**
 * What has no key takes the partitions in turn, in runs of so many (as a power of two): one partition per batch would give all that is sent at once to one
 * member, one per message makes requests of many small parts.
 */
const runBits = 4
const dayMs = 86_400_000
const retrySettings = { 'cleanup.policy': 'delete', 'retention.ms': String(7 * dayMs) }
const replySettings = { 'cleanup.policy': 'delete', 'retention.ms': '600000', 'segment.ms': '600000' }

/** `own`: the record's key is ours, not the message's. */
interface Destination {
  readonly topic: string
  readonly partitions: number
  readonly own: 'letter' | 'address' | undefined
}

interface RouterContext {
  readonly cluster: ClusterMap
  readonly names: Names
  readonly layout: Topology
  readonly settings: Settings
  readonly now: () => number
}

/** A router over what exists. */
export function router(context: RouterContext): Router {
  const { cluster, names, layout, settings, now } = context
  /** Topics of ours that are known to be there. */
  const made = new Set<string>()
  let turn = Math.floor(Math.random() * 1_024)

  const ensure = async (topic: string, one: Beside): Promise<void> => {
    if (made.has(one.name)) return
    await layout.beside(topic, one)
    made.add(one.name)
  }
  const shelfOf = (topic: string, group: string | undefined): Beside => {
    return { name: names.dead(topic, group), settings: shelfSettings, partitions: 1 }
  }
  const retriesOf = (topic: string, group: string): readonly Beside[] =>
    names.retries(topic, group).map((name) => ({ name, settings: retrySettings }))
  const replies: Beside = { name: names.replies, settings: replySettings, partitions: 1 }
  const prepareReplies = (): Promise<void> => ensure(names.replies, replies)
  /** Where a message goes, without its partition; what is missing is made. */
  const destinationOf = async (message: Dispatch, step: number): Promise<Destination> => {
    const topic = names.topic(message.topic)
    if (message.letter !== undefined) {
      const shelf = shelfOf(message.topic, message.group)
      await ensure(topic, shelf)
      return { topic: shelf.name, partitions: 1, own: 'letter' }
    }
    if (message.topic.startsWith('~')) {
      await prepareReplies()
      return { topic: names.replies, partitions: 1, own: 'address' }
    }
    const retry = message.group === undefined ? undefined : retriesOf(message.topic, message.group).at(step)
    if (retry !== undefined) await ensure(topic, retry)
    const { name } = retry ?? { name: topic }
    return { topic: name, partitions: (await cluster.topic(name)).partitions.length, own: undefined }
  }
  const stepOf = ({ group, notBefore }: Dispatch): number => {
    if (group === undefined) return 0
    const waitMs = (notBefore ?? 0) - now()
    return retrySteps.findIndex(({ upToMs }) => waitMs <= upToMs)
  }
  const partitionOf = (
    { partition, group }: Dispatch,
    { topic, partitions }: Destination,
    { key }: KafkaRecord,
    keyless: number,
  ): number => {
    if (partition !== undefined && group === undefined) {
      if (partition >= 0 && partition < partitions) return partition
      throw new MessagingError(
        'invalid',
        `partition ${partition} of ${topic} does not exist; it has ${partitions}, from 0`,
      )
    }
    return key === null ? keyless % partitions : partitionOfKey(key, partitions)
  }
  const route = async (batch: readonly Dispatch[]): Promise<Routed> => {
    const parts: { topic: string; partition: number; records: KafkaRecord[] }[] = []
    /** Of each topic on the broker: the part of each partition. */
    const topics = new Map<string, (number | undefined)[]>()
    const destinations = new Map<string, { readonly to: Destination; readonly known: (number | undefined)[] }>()
    /** What was not found is not asked for again in this batch: an answer for a later message would take it past an earlier one of its key. */
    const missing = new Map<string, MessagingError>()
    const results: (SendResult | undefined)[] = []
    const places: { part: number; index: number }[] = []
    const first = turn++
    let keyless = 0
    const time = now()
    for (const message of batch) {
      try {
        if (message.body.length > settings.maxBytes) throw tooLarge(message, settings.maxBytes)
        const step = stepOf(message)
        const kind = message.letter !== undefined ? 'letter' : step
        const name =
          message.group === undefined && kind === 0 ? message.topic : `${kind} ${message.group} ${message.topic}`
        // Asked once per batch: to wait for each message would cost more than all the rest.
        let found = destinations.get(name)
        if (found === undefined) {
          const error = missing.get(name)
          if (error !== undefined) throw error
          const to = await destinationOf(message, step).catch((reason: unknown) => {
            const why = messagingError(reason, `it is not known where messages to ${message.topic} go`)
            missing.set(name, why)
            throw why
          })
          found = { to, known: topics.get(to.topic) ?? [] }
          destinations.set(name, found)
          topics.set(to.topic, found.known)
        }
        const { to, known } = found
        const record = recordOf(
          message,
          time,
          to.own === 'letter' ? letterKey(message) : to.own === 'address' ? message.topic : undefined,
        )
        const partition = to.own === undefined ? partitionOf(message, to, record, first + (keyless >> runBits)) : 0
        if (record.key === null) keyless++
        const part = known[partition] ?? parts.push({ topic: to.topic, partition, records: [] }) - 1
        known[partition] = part
        places.push({ part, index: (parts[part] as (typeof parts)[number]).records.push(record) - 1 })
        results.push(undefined)
      } catch (error) {
        places.push({ part: -1, index: -1 })
        results.push({
          ok: false,
          error: messagingError(error, `message ${message.id} could not be sent to ${message.topic}`),
        })
      }
    }
    turn = Math.max(turn, first + (keyless >> runBits) + 1)
    return { parts, places, results }
  }
  const prepareGroup = async (topic: string, group: string): Promise<void> => {
    const [first, ...further] = retriesOf(topic, group)
    if (first === undefined || layout.mode === 'none') return
    if (layout.mode === 'declare') await ensure(names.topic(topic), first)
    else await layout.verify(names.topic(topic), [first, ...further, shelfOf(topic, group)])
  }
  const forget = (topics: readonly string[]): void => {
    for (const topic of topics) made.delete(topic)
  }
  return Object.assign(route, { prepareReplies, prepareGroup, forget })
}

function tooLarge({ id, body }: Dispatch, most: number): MessagingError {
  return new MessagingError(
    'too-large',
    `message ${id} has ${body.length} bytes and ${most} are allowed; raise maxBytes and the topic's max.message.bytes, or send a reference`,
  )
}
