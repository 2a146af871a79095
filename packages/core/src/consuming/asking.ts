// What a caller may ask of a subscription: checked in one place for consume, pull, respond, replay and explain.
import {
  callable,
  checkOptions,
  checkValue,
  listOf,
  ms,
  object,
  oneOf,
  plainName,
  type Rule,
  type Shape,
  show,
  signal,
  whole,
} from '../checked.ts'
import { MessagingError } from '../errors.ts'
import type { BatchOptions } from '../face/handling.ts'
import { filterRule, schemaRule } from '../topic-options.ts'

/** A point of a topic's history: a time, or a position as receipts and deliveries have it. */
const place: Rule = (value) => {
  if (object(value) === undefined) {
    const { time, position } = value as { readonly time?: unknown; readonly position?: unknown }
    if (time instanceof Date && !Number.isNaN(time.getTime()) && position === undefined) return undefined
    if (typeof position === 'string' && position !== '' && time === undefined) return undefined
  }
  return '{ time: a Date } or { position: a string }'
}
/** Where a group may start, or go on. */
export const from: Rule = (value) =>
  value === 'earliest' || value === 'latest' || place(value) === undefined
    ? undefined
    : "'earliest', 'latest', { time: a Date } or { position: a string }"
const concurrency: Rule = (value) => {
  const each = whole(1, 100_000)
  if (object(value) !== undefined) return each(value)
  checkOptions('consume(): concurrency', value, { process: each, group: each, key: each })
  return Object.keys(value as object).length > 0 ? undefined : 'a whole number, or { process, group }'
}
const batch: Rule = (value) => {
  if (object(value) !== undefined) return 'an object { size, waitMs }'
  checkOptions('consume(): batch', value, { size: whole(1, 100_000), waitMs: ms(0, 3_600_000) })
  const { size, waitMs } = value as Partial<BatchOptions>
  return size === undefined || waitMs === undefined ? 'both size and waitMs' : undefined
}
const extension: Rule = (value) =>
  object(value) === undefined && callable((value as { readonly consume?: unknown }).consume) === undefined
    ? undefined
    : 'an extension with consume: (next) => (delivery) => ...'
const rate: Rule = (value) => (typeof value === 'number' && value > 0 && value < 1e9 ? undefined : 'a number above 0')

const membership: Shape = {
  group: plainName,
  mode: oneOf('shared', 'broadcast'),
  order: oneOf('key', 'topic', 'none'),
  window: whole(1, 1_000_000),
  filter: filterRule,
  from,
  signal,
}
const handling: Shape = {
  ...membership,
  onFailure: oneOf('skip', 'park', 'block'),
  concurrency,
  use: listOf(extension),
}
const { mode: _, ...answering } = handling

/** What each call knows. */
export const askedOf = {
  consume: {
    ...handling,
    batch,
    guarantee: oneOf('at-most-once', 'at-least-once', 'exactly-once-effects', 'exactly-once-sends'),
  },
  pull: { ...membership, guarantee: oneOf('at-most-once', 'at-least-once') },
  respond: { ...answering, answer: schemaRule },
  replay: {
    from: (value: unknown) =>
      value === 'earliest' || place(value) === undefined ? undefined : `'earliest', ${place(value)}`,
    to: place,
    ratePerSecond: rate,
    order: oneOf('key', 'none'),
    concurrency: whole(1, 100_000),
  },
} satisfies Readonly<Record<string, Shape>>

/** Refuses what is no options, what a call does not know, and what it cannot mean. */
export function checkAsked(call: string, options: unknown, shape: Shape): void {
  checkValue(`${call}()`, 'what it is told', options, object, true)
  checkOptions(`${call}()`, options, shape)
}

/** Checks a handler: a missing one would look like a handler that does nothing. */
export function checkHandler(call: string, handler: unknown): void {
  if (callable(handler) !== undefined)
    throw new MessagingError('invalid', `${call}: the handler is ${show(handler)}; give an async function`)
}
