// What may be said of a topic, and what of it cannot be meant.
import {
  anything,
  callable,
  checkOptions,
  checkValue,
  ms,
  nearest,
  object,
  plainName,
  type Rule,
  refused,
  type Shape,
  show,
  text,
  whole,
} from './checked.ts'
import { codecRule } from './codec/rule.ts'
import type { GroupSpec } from './driver/seam.ts'
import { MessagingError } from './errors.ts'
import type { AnySchema, Filter, TopicGroup, TopicOptions } from './face/messages.ts'
import { canonicalFilter } from './filter/canonical.ts'

/** Most lanes: more is no broker's measure, and every lane is a queue on some. */
const mostPartitions = 1_024

/** A schema of any library that speaks Standard Schema. */
export const schemaRule: Rule = (value) => {
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
/** What configuration may say of a topic. */
export const overrideShape: Shape = { on: onRule, partitions: whole(1, mostPartitions), retentionMs: ms(1) }
/** What `topic()` takes. */
export const topicShape: Shape = {
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

/** Order over a whole topic is order in one lane. */
export function checkOneLane(call: string, groups: readonly GroupSpec[], partitions: number): void {
  const group = groups.find((each) => each.order === 'topic')
  if (group !== undefined && partitions !== 1)
    throw new MessagingError(
      'invalid',
      `${call}: group ${show(group.name)} has order 'topic', which needs one partition, and there are ${partitions}; leave partitions out or take order 'key'`,
    )
}

/** Every version from the first that is named to the one that is written has its step. */
export function checkSteps(call: string, version: number | undefined, upcast: TopicOptions<never>['upcast']): void {
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

/** The groups as they were given, by name or by more; `order` is that of those that name none. */
export function groupsOf(call: string, groups: unknown, order: GroupSpec['order']): readonly GroupSpec[] {
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
      const filter = group.filter === undefined ? undefined : filterOf(`${call} ${at}`, group.filter)
      return Object.freeze({ name: group.name, order: group.order ?? order, filter })
    }),
  )
}

function filterOf(call: string, filter: Filter): Filter {
  try {
    return canonicalFilter(filter)
  } catch (error) {
    throw new MessagingError('invalid', `${call}: ${(error as Error).message}`, { cause: error })
  }
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
