// Which topics a broker knows, and what it does about those that only another process knew.
import { reconnectPause } from '../driver/backoff.ts'
import type { Driver, DriverContext, SendResult, TopicSpec } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { AnyTopic } from '../face/messages.ts'
import { isPattern } from '../pattern.ts'
import type { Relay } from '../producing/relay.ts'
import { overridden, type TopicOverride, topicParts, topicSpec } from '../topic.ts'
import type { KeeperContext } from './keeper.ts'
import type { Runtime } from './runtime.ts'

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
export interface TopicBook extends Pick<Runtime, 'declare' | 'resolve' | 'remove' | 'specOf' | 'topicNamed'> {
  /** As this broker declares it; undefined where it has not seen it. */
  specNamed(name: string): TopicSpec | undefined
  /** Declares what another process has put away, once per topic. */
  declareSpec(spec: TopicSpec, signal: AbortSignal): Promise<void>
}

/** Which topics this broker has seen, and that each is declared once. */
export function topicBook(
  adapter: string,
  driver: Driver,
  { clock, connectTimeoutMs, topology }: DriverContext,
  overrides: Readonly<Record<string, TopicOverride>>,
): TopicBook {
  const seen = new Map<string, AnyTopic>()
  const declared = new Map<AnyTopic, Promise<TopicSpec>>()
  const strange = new Map<string, Promise<TopicSpec>>()
  const specs = new WeakMap<AnyTopic, TopicSpec>()
  const specOf: Runtime['specOf'] = (topic) => {
    const known = specs.get(topic)
    if (known !== undefined) return known
    const own = topicParts(topic)
    const override = Object.hasOwn(overrides, own.name) ? overrides[own.name] : undefined
    const spec = topicSpec(override === undefined ? own : overridden(own, override), adapter)
    specs.set(topic, spec)
    return spec
  }
  const make = async (spec: TopicSpec, signal: AbortSignal): Promise<TopicSpec> => {
    const until = clock.now() + connectTimeoutMs
    for (let attempt = 1; ; attempt++) {
      try {
        await driver.declare(spec, signal)
        return spec
      } catch (error) {
        if (!isMessagingError(error, 'unavailable', 'timeout', 'throttled') || signal.aborted || clock.now() >= until)
          throw error
        if (!(await reconnectPause(clock, attempt, signal))) throw error
      }
    }
  }
  const declare: Runtime['declare'] = async (topic, signal, tx) => {
    if (tx !== undefined) {
      const spec = specOf(topic)
      await driver.declare(spec, signal, tx)
      return spec
    }
    const known = declared.get(topic)
    if (known !== undefined) return known
    const making = make(specOf(topic), signal)
    declared.set(topic, making)
    seen.set(topic.name, topic)
    making.catch(() => declared.delete(topic))
    return making
  }
  return {
    declare,
    resolve: async (source, signal) =>
      isPattern(source) ? { pattern: source.pattern } : declare(source as AnyTopic, signal),
    async remove(topic, signal) {
      const { name, on } = specOf(topic)
      if (on !== undefined || topology !== 'declare')
        throw new MessagingError(
          'unsupported',
          `topic ${name} is not ours to delete: ${on === undefined ? `topology is '${topology}'` : 'it is mapped to what somebody else owns'}; have its owner do so`,
        )
      await driver.remove?.(name, signal)
      for (const known of declared.keys()) if (known.name === name) declared.delete(known)
      strange.delete(name)
    },
    specOf,
    topicNamed: (name) => seen.get(name),
    specNamed(name) {
      const topic = seen.get(name)
      return topic === undefined ? undefined : specOf(topic)
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
