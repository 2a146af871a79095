// Declarative checks of what a user passed. Every refusal names the call, the option, what was given and what to give.
import { MessagingError } from './errors.ts'

/** Says what to give instead, or nothing where the value is fine. Never sees undefined: an option left out is no mistake. */
export type Rule = (value: unknown) => string | undefined
/** Every option that a call knows. */
export type Shape = Readonly<Record<string, Rule>>

/**
 * Refuses what is no object of options, names that are not in `shape` (with the nearest one), values that a rule refuses, and the lack of one that
 * is `required`.
 */
export function checkOptions<S extends Shape>(
  call: string,
  options: unknown,
  shape: S,
  required: readonly (keyof S & string)[] = [],
): void {
  if (options !== undefined) checkGiven(call, options, shape)
  for (const name of required)
    checkValue(
      call,
      name,
      (options as Readonly<Record<string, unknown>> | undefined)?.[name],
      shape[name] as Rule,
      true,
    )
}

function checkGiven(call: string, options: unknown, shape: Shape): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new MessagingError('invalid', `${call}: its options are ${show(options)}; give an object`)
  for (const name in options) {
    const rule = Object.hasOwn(shape, name) ? shape[name] : undefined
    if (rule === undefined) throw unknownName(call, name, Object.keys(shape))
    const value = (options as Record<string, unknown>)[name]
    if (value === undefined) continue
    const instead = rule(value)
    if (instead !== undefined) throw refused(call, name, value, instead)
  }
}

/** Refuses one value by a rule; undefined passes unless `required`. */
export function checkValue(call: string, name: string, value: unknown, rule: Rule, required = false): void {
  if (value === undefined && !required) return
  const instead = rule(value)
  if (instead !== undefined) throw refused(call, name, value, instead)
}

/** The refusal of an option's value. */
export function refused(call: string, name: string, value: unknown, instead: string): MessagingError {
  return new MessagingError('invalid', `${call}: ${name} is ${show(value)}; give ${instead}`)
}

function unknownName(call: string, name: string, known: readonly string[]): MessagingError {
  const near = nearest(name, known)
  const hint =
    near === undefined
      ? known.length === 0
        ? 'it takes none'
        : `there are ${known.join(', ')}`
      : `did you mean ${near}?`
  return new MessagingError('invalid', `${call}: there is no option ${show(name)}; ${hint}`)
}

/** Most of a wrong value that an error shows. */
const shown = 40

/** A value for an error: short, on one line, and without what may be a secret. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      // A connection URL may carry a password.
      if (value.includes('://')) return 'a URL'
      return JSON.stringify(value.length > shown ? `${value.slice(0, shown)}…` : value)
    case 'bigint':
      return `${value}n`.slice(0, shown)
    case 'symbol':
    case 'function':
      return `a ${typeof value}`
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return 'an array'
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date'
      return 'an object'
    default:
      return String(value)
  }
}

/** The name out of `known` that was most likely meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const lower = name.slice(0, 60).toLowerCase()
  let best: string | undefined
  let least = 1 + Math.max(1, Math.floor(lower.length / 3))
  for (const each of known) {
    const other = each.toLowerCase()
    // `delay` for `delayMs`: what only lacks its unit is near, however long the unit is.
    const begins = lower.length > 2 && (other.startsWith(lower) || lower.startsWith(other))
    // `timeout` for `connectTimeoutMs`: one slip of the fingers is nearer than a word in common.
    const away = begins ? 0.5 : Math.min(distance(lower, other), shareWord(name, each) ? 1.5 : Number.POSITIVE_INFINITY)
    if (away < least) {
      least = away
      best = each
    }
  }
  return best
}

/** Whether a word of more than three letters is in both. */
function shareWord(name: string, other: string): boolean {
  const words = (text: string): readonly string[] =>
    text
      .slice(0, 60)
      .split(/(?=[A-Z])|[^A-Za-z]+/)
      .map((word) => word.toLowerCase())
  const mine = words(name)
  return words(other).some((word) => word.length > 3 && mine.includes(word))
}

/** Letters that are wrong, missing, too many, or in each other's place. */
function distance(a: string, b: string): number {
  let aboveThat: readonly number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, n) => n)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (above[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swap = swapped ? (aboveThat[j - 2] as number) + 1 : change
      row.push(Math.min(change, swap, (above[j] as number) + 1, (row[j - 1] as number) + 1))
    }
    aboveThat = above
    above = row
  }
  return above[b.length] as number
}

/** Longest time that any option may say, ms: ten years. */
export const longestMs = 10 * 366 * 24 * 3_600_000

/** A whole number in a range. */
export function whole(min: number, max: number): Rule {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `a whole number from ${min} to ${max}`
}

/** A time in ms, at most ten years. */
export function ms(min = 0, max = longestMs): Rule {
  return (value) => (typeof value === 'number' && value >= min && value <= max ? undefined : `ms from ${min} to ${max}`)
}

/** A number in a range, with fractions. */
export function number(min: number, max: number): Rule {
  return (value) =>
    typeof value === 'number' && value >= min && value <= max ? undefined : `a number from ${min} to ${max}`
}

/** `true` or `false`. */
export const flag: Rule = (value) => (typeof value === 'boolean' ? undefined : 'true or false')
/** A function. */
export const callable: Rule = (value) => (typeof value === 'function' ? undefined : 'a function')
/** A `Date` that is a time. */
export const date: Rule = (value) =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? undefined : 'a Date that is a time'
/** An `AbortSignal`. */
export const signal: Rule = (value) =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
    ? undefined
    : 'an AbortSignal'
/** The caller's open transaction, and not what opens one. */
export const transaction: Rule = (value) => {
  const tx = value as {
    readonly query?: unknown
    readonly transaction?: unknown
    readonly totalCount?: unknown
    readonly manager?: unknown
  }
  if (object(value) !== undefined || typeof tx.query !== 'function')
    return 'what runs inside your open transaction and has query(text, values), such as the tx of store.transaction()'
  if (tx.transaction !== undefined || tx.totalCount !== undefined || tx.manager !== undefined)
    return 'the open transaction itself, not what opens one (a pool, a data source)'
  return undefined
}
/** Anything that is no primitive, no array and no function. */
export const object: Rule = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'an object'
/** What the function of an adapter takes; says how that call looks to who gave it a URL, which `connect` takes. */
export function adapterOptions(example: string): Rule {
  return (value) => object(value) && `an object, as in ${example}; a URL by itself is for connect()`
}
/** Checked elsewhere. */
export const anything: Rule = () => undefined

/** One of these strings. */
export function oneOf(...values: readonly string[]): Rule {
  const list = values.map((each) => `'${each}'`).join(' or ')
  return (value) => {
    if (values.includes(value as string)) return undefined
    const near = typeof value === 'string' ? nearest(value, values) : undefined
    return near === undefined ? list : `${list} (did you mean '${near}'?)`
  }
}

/** A list of which each is right. */
export function listOf(rule: Rule): Rule {
  return (value) => {
    if (!Array.isArray(value)) return 'a list'
    for (let n = 0; n < value.length; n++) {
      const instead = value[n] === undefined ? 'something there' : rule(value[n])
      if (instead !== undefined) return `a list whose item ${n} is ${instead}`
    }
    return undefined
  }
}

/** Text without NUL and without half of a surrogate pair, which no wire carries; `max` characters. */
export function text(max: number, min = 1): Rule {
  return (value) => {
    const limits = min > 0 ? `${min} to ${max} characters` : `at most ${max} characters`
    if (typeof value !== 'string' || value.length < min || value.length > max) return `text of ${limits}`
    if (value.includes('\0') || !value.isWellFormed()) return 'text without NUL and without half surrogate pairs'
    return undefined
  }
}

/** Longest name of a topic, a group or a pattern, in characters. */
const longestName = 200

/** The name of a topic, a group, a broker: what every transport can carry as part of an address. */
export const plainName: Rule = (value) => {
  const rule = ownName(value)
  if (rule !== undefined) return rule
  const name = value as string
  if (/[*#]/.test(name)) return 'a name without * and #; many topics are read by pattern()'
  if (name.startsWith('~')) return 'a name that does not begin with ~, which is ours'
  return undefined
}

/** The same for names of ours, which may begin with `~`, and for patterns. */
export const ownName: Rule = (value) => {
  if (typeof value !== 'string' || value.length === 0 || value.length > longestName)
    return `a name of 1 to ${longestName} characters`
  if (/[\p{Cc}\u2028\u2029]/u.test(value) || !value.isWellFormed())
    return 'a name without control characters and without half surrogate pairs'
  if (value.trim() !== value) return 'a name without blanks around it'
  return undefined
}
