// Which topics a broker knows, and what it does about those that only another process knew.
import { isDeepStrictEqual } from 'node:util'
import { patience, patiently } from '../driver/patience.ts'
import type { Driver, DriverContext, SendResult, TopicSpec } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { AnyTopic } from '../face/messages.ts'
import { isPattern } from '../pattern.ts'
import type { Relay } from '../producing/relay.ts'
import { overridden, type TopicOverride, topicParts, topicSpec } from '../topic.ts'
import type { KeeperContext } from './keeper.ts'
import type { Declared, Runtime } from './runtime.ts'

/**
 * Another process may have put away a message of a topic that this one has never seen: then the row says what is to be declared, or a broker of
 * queues would find nothing bound under the name, and lanes would be guessed. A row without that is left for a process that knows.
 */
export async function relayed(
  { traits, topicNamed, closing }: Runtime,
  { declareSpec }: TopicBook,
  relaying: Relay,
  { message, topic }: Parameters<KeeperContext['relay']>[0][number],
): Promise<SendResult> {
  if (topicNamed(message.topic) === undefined) {
    if (topic !== undefined) {
      try {
        await declareSpec(topic, closing)
      } catch (error) {
        return { ok: false, error: isMessagingError(error) ? error : new MessagingError('internal', describe(error)) }
      }
    } else if (!traits.history && message.group === undefined && message.letter === undefined)
      return { ok: false, error: new MessagingError('unavailable', `this process has not seen ${message.topic}`) }
  }
  return relaying.send(message)
}

/** The topics of one broker. */
export interface TopicBook
  extends Pick<Runtime, 'declare' | 'resolve' | 'remove' | 'missed' | 'specOf' | 'topicNamed'> {
  /** As this broker declares it; undefined where it has not seen it. */
  specNamed(name: string): TopicSpec | undefined
  /** Declares what another process has put away, once per topic. */
  declareSpec(spec: TopicSpec, signal: AbortSignal): Promise<void>
}

/** What a broker knows of the topics of one name that are declared alike, however many objects in the program stand for them. */
interface Entry {
  readonly spec: TopicSpec
  making: Promise<Declared> | undefined
  made: Declared | undefined
}

/** Which topics this broker has seen, and that each is declared once. */
export function topicBook(
  adapter: string,
  driver: Driver,
  { clock, connectTimeoutMs, topology }: DriverContext,
  overrides: Readonly<Record<string, TopicOverride>>,
): TopicBook {
  const seen = new Map<string, AnyTopic>()
  const entries = new Map<string, Entry[]>()
  const entryOf = new WeakMap<AnyTopic, Entry>()
  const strange = new Map<string, Promise<void>>()
  const known = (topic: AnyTopic): Entry => {
    const found = entryOf.get(topic)
    if (found !== undefined) return found
    const own = topicParts(topic)
    const override = Object.hasOwn(overrides, own.name) ? overrides[own.name] : undefined
    const spec = topicSpec(override === undefined ? own : overridden(own, override), adapter)
    const alike = entries.get(spec.name) ?? []
    let entry = alike.find((each) => isDeepStrictEqual(each.spec, spec))
    if (entry === undefined) {
      entry = { spec, making: undefined, made: undefined }
      entries.set(spec.name, [...alike, entry])
    }
    entryOf.set(topic, entry)
    return entry
  }
  const forget = (name: string): void => {
    for (const entry of entries.get(name) ?? []) {
      if (entry.made !== undefined) entry.made.there = false
      entry.made = undefined
      entry.making = undefined
    }
    strange.delete(name)
  }
  const make = (spec: TopicSpec, signal: AbortSignal): Promise<void> =>
    patiently(patience({ clock, connectTimeoutMs }), signal, () => driver.declare(spec, signal))
  const declare: Runtime['declare'] = async (topic, signal, tx) => {
    const entry = known(topic)
    const { spec } = entry
    if (tx !== undefined) {
      await driver.declare(spec, signal, tx)
      return { spec, there: false }
    }
    seen.set(topic.name, topic)
    if (entry.making !== undefined) return entry.making
    const made: Declared = { spec, there: true }
    const making = make(spec, signal).then(() => made)
    entry.made = made
    entry.making = making
    making.catch(() => {
      if (entry.making === making) entry.making = undefined
    })
    return making
  }
  return {
    declare,
    resolve: async (source, signal) =>
      isPattern(source) ? { pattern: source.pattern } : (await declare(source as AnyTopic, signal)).spec,
    async remove(topic, signal) {
      const { name, on } = known(topic).spec
      if (on !== undefined || topology !== 'declare')
        throw new MessagingError(
          'unsupported',
          `topic ${name} is not ours to delete: ${on === undefined ? `topology is '${topology}'` : 'it is mapped to what somebody else owns'}; have its owner do so`,
        )
      await driver.remove?.(name, signal)
      forget(name)
    },
    missed(name, what) {
      if (topology !== 'declare') return
      if (what === 'topic' || entries.get(name)?.some(({ spec }) => spec.groups.length > 0)) forget(name)
    },
    specOf: (topic) => known(topic).spec,
    topicNamed: (name) => seen.get(name),
    specNamed(name) {
      const topic = seen.get(name)
      return topic === undefined ? undefined : known(topic).spec
    },
    async declareSpec(spec, signal) {
      const { name } = spec
      let making = strange.get(name)
      if (making === undefined) {
        making = make(spec, signal)
        strange.set(name, making)
        making.catch(() => strange.delete(name))
      }
      await making
    },
  }
}
