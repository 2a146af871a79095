// Many topics by one name with wildcards.
import { checkValue, ownName, type Rule, show } from './checked.ts'
import { MessagingError } from './errors.ts'
import type { Pattern, Source } from './face/messages.ts'

/** Many topics by wildcard: `*` is one word, `#` any number of words at the end; words are parted by dots. */
export function pattern<T = unknown>(pattern: string): Pattern<T> {
  checkValue('pattern()', 'it', pattern, patternRule, true)
  return Object.freeze({ pattern, '~topic': patternMark }) as unknown as Pattern<T>
}
const patternMark = Object.freeze({ pattern: true })

/** Whether this is a pattern rather than a topic; refuses what is neither. */
export function isPattern<T>(source: Source<T>): source is Pattern<T> {
  const mark = (source as { readonly '~topic'?: unknown } | null | undefined)?.['~topic']
  if (typeof mark !== 'object' || mark === null)
    throw new MessagingError('invalid', `${show(source)} is no topic and no pattern; make one by topic() or pattern()`)
  return 'pattern' in mark
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
