// The public `Filter`, made ready once per consumer.
import { MessagingError } from '../errors.ts'
import type { Filter } from '../face/messages.ts'
import { evaluation, type Filterable } from './evaluation.ts'
import { headerFilter } from './header-match.ts'
import { parseSelector } from './parser.ts'
import { tagFilter } from './tag.ts'

export type { Filterable }

/** Whether a message passes: in SQL what is unknown does not. Throws `invalid` where the filter is none; the result never throws. */
export function compileFilter(filter: Filter): (message: Filterable) => boolean {
  const given: unknown = filter
  const names = typeof given === 'object' && given !== null ? Object.keys(given) : []
  const [name] = names
  const value: unknown = name === undefined ? undefined : (given as Record<string, unknown>)[name]
  if (names.length === 1) {
    if (name === 'tag' && typeof value === 'string') return tagFilter(value)
    if (name === 'sql' && typeof value === 'string') {
      const holds = evaluation(parseSelector(value))
      return (message) => holds(message) === true
    }
    if (name === 'headers' && typeof value === 'object' && value !== null && !Array.isArray(value))
      return headerFilter(value as Record<string, string>)
  }
  const found =
    names.length === 0
      ? describeKind(given)
      : names
          .slice(0, 5)
          .map((each) => `${each.slice(0, 50)}: ${describeKind((given as Record<string, unknown>)[each])}`)
          .join(', ')
  throw new MessagingError(
    'invalid',
    `filter: exactly one of { tag: string }, { sql: string } and { headers: { name: value } } is a filter, found { ${found} }`,
  )
}

function describeKind(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value
}
