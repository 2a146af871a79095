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
import type { Topology } from './topology.ts'

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
  /** Makes the retry topic that most retries of a group need, so that the first one does not wait for it. */
  readonly prepareRetries: (topic: string, group: string) => Promise<void>
}

const dayMs = 86_400_000
const retrySettings = { 'cleanup.policy': 'delete', 'retention.ms': String(7 * dayMs) }
const replySettings = { 'cleanup.policy': 'delete', 'retention.ms': '600000', 'segment.ms': '600000' }

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

  const ensure = async (
    topic: string,
    name: string,
    entries: Readonly<Record<string, string>>,
    partitions?: number,
  ): Promise<void> => {
    if (made.has(name)) return
    await layout.beside(topic, name, entries, partitions)
    made.add(name)
  }
  const prepareReplies = (): Promise<void> => ensure(names.replies, names.replies, replySettings, 1)
  const byKey = async (topic: string, message: Dispatch, keyless: number): Promise<number> => {
    const count = (await cluster.topic(topic)).partitions.length
    const { partition, key } = message
    if (partition !== undefined && message.group === undefined) {
      if (partition >= 0 && partition < count) return partition
      throw new MessagingError('invalid', `partition ${partition} of ${topic} does not exist; it has ${count}, from 0`)
    }
    return key === undefined ? keyless % count : partitionOfKey(Buffer.from(key, 'utf8'), count)
  }
  const target = async (
    message: Dispatch,
    keyless: number,
  ): Promise<{ topic: string; partition: number; record: KafkaRecord }> => {
    const topic = names.topic(message.topic)
    if (message.letter !== undefined) {
      const name = names.dead(message.topic, message.group)
      await ensure(topic, name, shelfSettings, 1)
      return { topic: name, partition: 0, record: recordOf(message, now(), letterKey(message)) }
    }
    if (message.topic.startsWith('~')) {
      await prepareReplies()
      return { topic: names.replies, partition: 0, record: recordOf(message, now(), message.topic) }
    }
    if (message.group !== undefined) {
      const waitMs = (message.notBefore ?? 0) - now()
      const step = retrySteps.findIndex(({ upToMs }) => waitMs <= upToMs)
      const name = names.retries(message.topic, message.group).at(step) as string
      await ensure(topic, name, retrySettings)
      return { topic: name, partition: await byKey(name, message, keyless), record: recordOf(message, now()) }
    }
    return { topic, partition: await byKey(topic, message, keyless), record: recordOf(message, now()) }
  }
  const route = async (batch: readonly Dispatch[]): Promise<Routed> => {
    const parts: { topic: string; partition: number; records: KafkaRecord[] }[] = []
    const index = new Map<string, number>()
    const results: (SendResult | undefined)[] = []
    const places: { part: number; index: number }[] = []
    // What has no key goes to one partition per batch: fewer, larger requests.
    const keyless = turn++
    for (const message of batch) {
      try {
        if (message.body.length > settings.maxBytes)
          throw new MessagingError(
            'too-large',
            `message ${message.id} has ${message.body.length} bytes and ${settings.maxBytes} are allowed; raise maxBytes and the topic's max.message.bytes, or send a reference`,
          )
        const { topic, partition, record } = await target(message, keyless)
        const key = `${partition}/${topic}`
        const at = index.get(key) ?? parts.push({ topic, partition, records: [] }) - 1
        index.set(key, at)
        const part = parts[at] as (typeof parts)[number]
        places.push({ part: at, index: part.records.push(record) - 1 })
        results.push(undefined)
      } catch (error) {
        places.push({ part: -1, index: -1 })
        results.push({
          ok: false,
          error: messagingError(error, `message ${message.id} could not be sent to ${message.topic}`),
        })
      }
    }
    return { parts, places, results }
  }
  const prepareRetries = async (topic: string, group: string): Promise<void> => {
    const [name] = names.retries(topic, group)
    if (layout.makes && name !== undefined) await ensure(names.topic(topic), name, retrySettings)
  }
  return Object.assign(route, { prepareReplies, prepareRetries })
}
