// A selector's text as tokens. Positions count UTF-16 units from 1, as an editor's column does.
import { MessagingError } from '../errors.ts'

/** `word`: a name or a keyword; `name`: a quoted name; `end`: after the last. */
export interface Token {
  readonly kind: 'word' | 'name' | 'text' | 'number' | 'symbol' | 'end'
  /** Unquoted; of a number, as written. */
  readonly text: string
  readonly at: number
}

/** Longest selector; far above any that a person writes. */
export const maxSelectorLength = 8_192

/** Says what is wrong with a selector, where, and shows it. */
export function refuse(source: string, at: number, problem: string): MessagingError {
  const from = Math.max(0, at - 1 - 30)
  const shown = source.slice(from, at - 1 + 30)
  const cut = `${from > 0 ? '...' : ''}${shown}${at - 1 + 30 < source.length ? '...' : ''}`
  return new MessagingError('invalid', `filter.sql: ${problem} (position ${at} of ${JSON.stringify(cut)})`)
}

const space = /[ \t\r\n]+/y
const word = /[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*)*/y
const number = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const symbol = /<>|<=|>=|[=<>+\-*/(),]/y
const wordPart = /[A-Za-z0-9_$.]/

/** What other languages write, and what is meant here. */
const hints: Readonly<Record<string, string>> = {
  '!=': 'write <> for not equal',
  '==': 'write = for equal',
  '&&': 'write AND',
  '||': 'write OR',
  '!': 'write NOT',
  '%': 'there is no remainder here',
  ';': 'a filter is one condition, without a semicolon at its end',
  '`': 'write "..." around a header name',
}

/** The tokens of a selector, with an `end` behind them. */
export function tokens(source: string): readonly Token[] {
  if (source.length > maxSelectorLength)
    throw new MessagingError(
      'invalid',
      `filter.sql: ${source.length} characters long, at most ${maxSelectorLength} are allowed; put what it selects by into one header`,
    )
  const odd = /\0/.exec(source)?.index ?? (source.isWellFormed() ? -1 : source.search(/\p{Surrogate}/u))
  if (odd >= 0) throw refuse(source, odd + 1, 'a NUL or half a surrogate pair, which no broker can keep')
  const found: Token[] = []
  let at = 0
  for (;;) {
    at = skip(space, source, at)
    if (at >= source.length) break
    const token = next(source, at)
    found.push({ kind: token.kind, text: token.text, at: at + 1 })
    at = token.end
  }
  found.push({ kind: 'end', text: '', at: source.length + 1 })
  return found
}

function next(
  source: string,
  at: number,
): { readonly kind: Token['kind']; readonly text: string; readonly end: number } {
  const first = source[at] as string
  if (first === "'" || first === '"') return quoted(source, at, first)
  let end = skip(number, source, at)
  if (end > at) {
    const text = source.slice(at, end)
    if (wordPart.test(source[end] ?? ''))
      throw refuse(source, at + 1, `'${text}${source[end]}' is neither a number nor a name; write "..." around a name`)
    return { kind: 'number', text, end }
  }
  end = skip(word, source, at)
  if (end > at) return { kind: 'word', text: source.slice(at, end), end }
  const hint = hints[source.slice(at, at + 2)]
  end = hint === undefined ? skip(symbol, source, at) : at
  if (end > at) return { kind: 'symbol', text: source.slice(at, end), end }
  const character = String.fromCodePoint(source.codePointAt(at) as number)
  const help = hint ?? hints[first] ?? 'a header name with such a character stands in "..."'
  throw refuse(source, at + 1, `unexpected ${JSON.stringify(character)}; ${help}`)
}

/** A quote within is written twice. */
function quoted(
  source: string,
  at: number,
  quote: string,
): { readonly kind: 'text' | 'name'; readonly text: string; readonly end: number } {
  const kind = quote === "'" ? 'text' : 'name'
  let text = ''
  let from = at + 1
  for (;;) {
    const close = source.indexOf(quote, from)
    if (close < 0) throw refuse(source, at + 1, `no ${quote} ends what this one begins`)
    text += source.slice(from, close)
    if (source[close + 1] !== quote) {
      if (kind === 'name' && text === '') throw refuse(source, at + 1, 'a header name is empty')
      return { kind, text, end: close + 1 }
    }
    text += quote
    from = close + 2
  }
}

function skip(pattern: RegExp, source: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(source) ? pattern.lastIndex : at
}
