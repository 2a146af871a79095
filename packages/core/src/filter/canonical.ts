// One form for all filters that say the same: members of a group are compared by it, in this process and by what a broker keeps of the group.
import type { Filter } from '../face/messages.ts'
import { compileFilter } from './index.ts'
import { type Token, tokens } from './lexer.ts'
import { keywords } from './parser.ts'
import { tagNames } from './tag.ts'

/** The same filter whatever the order of its headers and tags and the white space of its SQL; throws `invalid` where it is none. */
export function canonicalFilter(filter: Filter): Filter {
  compileFilter(filter)
  if ('tag' in filter) return { tag: [...new Set(tagNames(filter.tag))].sort().join(' || ') }
  if ('headers' in filter) {
    const headers = Object.entries(filter.headers).sort(([a], [b]) => (a < b ? -1 : 1))
    return { headers: Object.fromEntries(headers) }
  }
  return { sql: spaced(tokens(filter.sql)) }
}

/** One space between tokens, none within parentheses and before a comma. */
function spaced(list: readonly Token[]): string {
  const written = list.filter(({ kind }) => kind !== 'end').map(asWritten)
  return written
    .map((each, n) => (n === 0 || written[n - 1] === '(' || each === ')' || each === ',' ? each : ` ${each}`))
    .join('')
}

function asWritten({ kind, text }: Token): string {
  if (kind === 'text') return `'${text.replaceAll("'", "''")}'`
  if (kind === 'name') return `"${text.replaceAll('"', '""')}"`
  const upper = text.toUpperCase()
  return kind === 'word' && keywords.has(upper) ? upper : text
}
