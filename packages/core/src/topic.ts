// Topics and patterns: what a user names once and passes around.
import {
  anything,
  callable,
  checkOptions,
  checkValue,
  ms,
  nearest,
  object,
  ownName,
  plainName,
  type Rule,
  refused,
  type Shape,
  show,
  text,
  whole,
} from './checked.ts'
import { json } from './codec/json.ts'
import type { GroupSpec, TopicSpec } from './driver/seam.ts'
import { MessagingError } from './errors.ts'
import type {
  AnySchema,
  AnyTopic,
  Codec,
  Filter,
  OnAdapter,
  Pattern,
  SchemaIn,
  SchemaOut,
  Source,
  Topic,
  TopicGroup,
  TopicOptions,
} from './face/messages.ts'

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
/** Most lanes: more is no broker's measure, and every lane is a queue on some. */
const mostPartitions = 1_024

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

/** Many topics by wildcard: `*` is one word, `#` any number of words at the end; words are parted by dots. */
export function pattern<T = unknown>(pattern: string): Pattern<T> {
  checkValue('pattern()', 'it', pattern, patternRule, true)
  return Object.freeze({ pattern, '~topic': patternMark }) as unknown as Pattern<T>
}
const patternMark = Object.freeze({ pattern: true })

/** The parts of a topic; refuses what `topic()` did not make. */
export function topicParts(topic: AnyTopic): TopicParts {
  const parts = (topic as { readonly '~topic'?: unknown } | null | undefined)?.['~topic'] as TopicParts | undefined
  if (parts === undefined || parts.codec === undefined)
    throw new MessagingError('invalid', `${show(topic)} is no topic; make one by topic('name') and pass that`)
  return parts
}

/** Whether this is a pattern rather than a topic; refuses what is neither. */
export function isPattern<T>(source: Source<T>): source is Pattern<T> {
  const mark = (source as { readonly '~topic'?: unknown } | null | undefined)?.['~topic']
  if (typeof mark !== 'object' || mark === null)
    throw new MessagingError('invalid', `${show(source)} is no topic and no pattern; make one by topic() or pattern()`)
  return 'pattern' in mark
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

/** Whether a pattern takes a topic's name. Names of ours are taken by none. */
export function matches(pattern: string, name: string): boolean {
  if (name.startsWith('~')) return false
  const wanted = pattern.split('.')
  const words = name.split('.')
  const open = wanted.at(-1) === '#'
  const fixed = open ? wanted.length - 1 : wanted.length
  if (open ? words.length < fixed : words.length !== fixed) return false
  for (let n = 0; n < fixed; n++) if (wanted[n] !== '*' && wanted[n] !== words[n]) return false
  return true
}

const patternRule: Rule = (value) => {
  const instead = ownName(value)
  if (instead !== undefined) return instead
  const words = (value as string).split('.')
  if ((value as string).startsWith('~')) return 'a pattern that does not begin with ~, which is ours'
  if (
    words.some(
      (word, n) =>
        (word.includes('#') && (word !== '#' || n < words.length - 1)) || (word.includes('*') && word !== '*'),
    )
  )
    return "a pattern in which * stands for a whole word and # for the last words, such as 'orders.*' or 'orders.#'"
  return undefined
}

const codecRule: Rule = (value) => {
  const codec = value as Partial<Codec> | null
  return typeof codec === 'object' &&
    codec !== null &&
    typeof codec.contentType === 'string' &&
    typeof codec.encode === 'function' &&
    typeof codec.decode === 'function'
    ? undefined
    : 'a codec, such as json, text, bytes, gzip() or zstd()'
}
const schemaRule: Rule = (value) => {
  // A schema of arktype is a function.
  const standard = (value as Partial<AnySchema> | null)?.['~standard']
  return typeof standard?.validate === 'function'
    ? undefined
    : 'a Standard Schema (zod from 3.24, valibot from 1, arktype from 2)'
}
const own = ['memory', 'sqlite', 'postgres', 'rabbitmq', 'kafka', 'redis', 'rocketmq', 'activemq']
const onRule: Rule = (value) => {
  if (object(value) !== undefined) return 'an object with an entry per adapter, such as { rabbitmq: { queue } }'
  for (const [adapter, mapping] of Object.entries(value as object)) {
    const near = own.includes(adapter) ? undefined : nearest(adapter, own)
    // Adapters of others have names that we cannot know; what is nearly one of ours is a mistake.
    if (near !== undefined) return `an object with ${near} instead of ${show(adapter)}`
    if (mapping !== undefined && object(mapping) !== undefined) return `an object in which ${adapter} is an object`
  }
  return undefined
}
const upcastRule: Rule = (value) => {
  if (object(value) !== undefined) return 'an object of functions by version'
  const bad = Object.entries(value as object).find(
    ([version, step]) => !/^[1-9]\d{0,6}$/.test(version) || typeof step !== 'function',
  )
  return bad === undefined ? undefined : `an object of functions by version, from 1 up (${show(bad[0])} is not)`
}
const overrideShape: Shape = { on: onRule, partitions: whole(1, mostPartitions), retentionMs: ms(1) }
const topicShape: Shape = {
  ...overrideShape,
  schema: schemaRule,
  key: callable,
  groups: anything,
  codec: codecRule,
  expiresInMs: ms(1),
  priority: whole(0, 9),
  version: whole(1, 1_000_000),
  upcast: upcastRule,
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

function checkOneLane(call: string, groups: readonly GroupSpec[], partitions: number): void {
  const group = groups.find((each) => each.order === 'topic')
  if (group !== undefined && partitions !== 1)
    throw new MessagingError(
      'invalid',
      `${call}: group ${show(group.name)} has order 'topic', which needs one partition, and there are ${partitions}; leave partitions out or take order 'key'`,
    )
}

function checkSteps(call: string, version: number | undefined, upcast: TopicParts['upcast']): void {
  if (upcast === undefined) return
  if (version === undefined)
    throw new MessagingError(
      'invalid',
      `${call}: there is upcast, but no version; give the version that is written now`,
    )
  const steps = Object.keys(upcast)
    .map(Number)
    .sort((a, b) => a - b)
  const first = steps[0] ?? version
  steps.forEach((step, n) => {
    if (step !== first + n)
      throw new MessagingError(
        'invalid',
        `${call}: upcast has no step from version ${first + n}; give upcast[${first + n}]`,
      )
  })
  if (steps.length > 0 && first + steps.length !== version)
    throw new MessagingError(
      'invalid',
      `${call}: upcast ends at version ${first + steps.length} and version is ${version}; its last step must be upcast[${version - 1}]`,
    )
}

const groupShape: Shape = {
  name: plainName,
  order: (value) => (['key', 'topic', 'none'].includes(value as string) ? undefined : "'key', 'topic' or 'none'"),
  filter: filterRule,
}

function groupsOf(call: string, groups: unknown, order: GroupSpec['order']): readonly GroupSpec[] {
  if (groups === undefined) return []
  if (!Array.isArray(groups)) throw refused(call, 'groups', groups, 'a list of names or of { name, order, filter }')
  const names = new Set<string>()
  return Object.freeze(
    groups.map((each: string | TopicGroup, n): GroupSpec => {
      const at = `groups[${n}]`
      if (typeof each === 'string') checkValue(call, at, each, plainName)
      else {
        if (object(each) !== undefined) throw refused(call, at, each, 'a name or { name, order, filter }')
        checkOptions(`${call} ${at}`, each, groupShape)
        checkValue(`${call} ${at}`, 'name', each.name, plainName, true)
      }
      const group = typeof each === 'string' ? { name: each } : each
      if (names.has(group.name))
        throw new MessagingError('invalid', `${call}: groups has ${show(group.name)} twice; leave one out`)
      names.add(group.name)
      return Object.freeze({ name: group.name, order: group.order ?? order, filter: group.filter })
    }),
  )
}

/** Whether a filter has its form; what its SQL means is the filter's own affair. */
export function filterRule(value: unknown): string | undefined {
  const form = "one of { tag: 'paid' }, { sql: 'price > 10' } or { headers: { region: 'eu' } }"
  if (object(value) !== undefined || Object.keys(value as object).length !== 1) return form
  const { tag, sql, headers } = value as Partial<Record<'tag' | 'sql' | 'headers', unknown>> & Filter
  if (tag !== undefined) return text(255)(tag) === undefined ? undefined : form
  if (sql !== undefined) return text(10_000)(sql) === undefined ? undefined : form
  if (
    object(headers) !== undefined ||
    Object.values(headers as object).some((each) => each !== undefined && typeof each !== 'string')
  )
    return form
  return undefined
}
