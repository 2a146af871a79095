// Headers by equality: all that are named must be there and be equal, letter by letter.
import { MessagingError } from '../errors.ts'
import type { MessageHeaders } from '../face/messages.ts'
import type { Filterable } from './evaluation.ts'

/** Whether the message has every one of these headers with this value. */
export function headerFilter(headers: MessageHeaders): (message: Filterable) => boolean {
  const names = Object.keys(headers)
  if (names.length === 0)
    throw new MessagingError('invalid', 'filter.headers: names no header; leave the filter out to take every message')
  const pairs = names.map((name) => {
    const value: unknown = headers[name]
    if (typeof value === 'string') return [name, value] as const
    const shown = value === undefined ? 'undefined' : `of type ${value === null ? 'null' : typeof value}`
    throw new MessagingError(
      'invalid',
      `filter.headers: the value of ${JSON.stringify(name.slice(0, 100))} is ${shown}; headers are strings, and one that does not matter is left out`,
    )
  })
  const [first] = pairs as [readonly [string, string]]
  if (pairs.length === 1) return (message) => message.headers[first[0]] === first[1]
  return (message) => {
    for (const pair of pairs) if (message.headers[pair[0]] !== pair[1]) return false
    return true
  }
}
