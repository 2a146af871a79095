// Topics: what a user names once and passes around.
import { checkOptions, checkValue, ownName, plainName, show } from './checked.ts'
import { json } from './codec/json.ts'
import type { GroupSpec, TopicSpec } from './driver/seam.ts'
import { MessagingError } from './errors.ts'
import type {
  AnySchema,
  AnyTopic,
  Codec,
  OnAdapter,
  SchemaIn,
  SchemaOut,
  Topic,
  TopicOptions,
} from './face/messages.ts'
import { checkOneLane, checkSteps, groupsOf, overrideShape, topicShape } from './topic-options.ts'

/** What a topic is made of, checked and with defaults; held under `~topic`. */
export interface TopicParts {
  readonly name: string
  readonly schema: AnySchema | undefined
  readonly key: ((body: unknown) => string | undefined) | undefined
  readonly partitions: number
  readonly groups: readonly GroupSpec[]
  readonly codec: Codec
  readonly retentionMs: number | undefined
  readonly expiresInMs: number | undefined
  readonly priority: number | undefined
  readonly version: number | undefined
  readonly upcast: Readonly<Record<number, (body: unknown) => unknown>> | undefined
  readonly on: Readonly<Record<string, unknown>> | undefined
}

/** What configuration may say of a topic by its name; the rest is code. */
export interface TopicOverride {
  readonly on?: OnAdapter | undefined
  readonly partitions?: number | undefined
  readonly retentionMs?: number | undefined
}

/** Lanes of a topic that does not say how many. */
const defaultPartitions = 8

/** A named, typed stream of messages: what is sent to it and what its handlers get. */
export function topic<T = unknown>(name: string, options?: TopicOptions<T> & { readonly schema?: never }): Topic<T>
/** With a schema (zod, valibot, arktype, ...), which checks what is sent and gives what is handled. */
export function topic<S extends AnySchema>(
  name: string,
  options: TopicOptions<SchemaIn<S>> & { readonly schema: S },
): Topic<SchemaIn<S>, SchemaOut<S>>
export function topic(
  name: string,
  options?: TopicOptions<never> & { readonly schema?: AnySchema | undefined },
): AnyTopic {
  checkValue('topic()', 'the name', name, plainName, true)
  return madeOf(name, options)
}

/** A topic of ours, whose name may begin with `~`: reply addresses, retry steps. */
export function ownTopic(name: string, options?: TopicOptions<never>): AnyTopic {
  checkValue('topic()', 'the name', name, ownName, true)
  return madeOf(name, options)
}

/** The parts of a topic; refuses what `topic()` did not make. */
export function topicParts(topic: AnyTopic): TopicParts {
  const parts = (topic as { readonly '~topic'?: unknown } | null | undefined)?.['~topic'] as TopicParts | undefined
  if (parts === undefined || parts.codec === undefined)
    throw new MessagingError('invalid', `${show(topic)} is no topic; make one by topic('name') and pass that`)
  return parts
}

/** The topic as this adapter's driver gets it. */
export function topicSpec(parts: TopicParts, adapter: string): TopicSpec {
  return {
    name: parts.name,
    partitions: parts.partitions,
    groups: parts.groups,
    retentionMs: parts.retentionMs,
    keyed: parts.key !== undefined,
    priority: parts.priority,
    on: parts.on?.[adapter],
  }
}

/** The parts with what configuration says of this topic; one broker's own, so that another broker's use of the topic stays. */
export function overridden(parts: TopicParts, override: TopicOverride): TopicParts {
  const call = `the configuration of topic ${show(parts.name)}`
  checkOptions(call, override, overrideShape)
  const partitions = override.partitions ?? parts.partitions
  checkOneLane(call, parts.groups, partitions)
  return Object.freeze({
    ...parts,
    partitions,
    retentionMs: override.retentionMs ?? parts.retentionMs,
    on: override.on === undefined ? parts.on : { ...parts.on, ...(override.on as Record<string, unknown>) },
  })
}

function madeOf(
  name: string,
  options: (TopicOptions<never> & { readonly schema?: AnySchema | undefined }) | undefined,
): AnyTopic {
  const call = `topic(${show(name)})`
  checkOptions(call, options, topicShape)
  const { schema, key, codec = json, retentionMs, expiresInMs, priority, version, upcast, on } = options ?? {}
  checkSteps(call, version, upcast)
  const groups = groupsOf(call, options?.groups, key === undefined ? 'none' : 'key')
  const oneLane = groups.some((each) => each.order === 'topic')
  const partitions = options?.partitions ?? (oneLane ? 1 : defaultPartitions)
  checkOneLane(call, groups, partitions)
  const parts: TopicParts = Object.freeze({
    name,
    schema,
    key: key as TopicParts['key'],
    partitions,
    groups,
    codec,
    retentionMs,
    expiresInMs,
    priority,
    version,
    upcast,
    on: on as TopicParts['on'],
  })
  // `in` and `out` are types only.
  return Object.freeze({ name, '~topic': parts }) as unknown as AnyTopic
}
