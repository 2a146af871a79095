// Tags as RocketMQ names them: one, several parted by `||`, or `*`.
import { MessagingError } from '../errors.ts'
import type { Filterable } from './evaluation.ts'

/** Longest list of tags. */
const maxTagLength = 8_192

/** Whether the message's tag is one of these; `*` takes all, also what has no tag. */
export function tagFilter(tags: string): (message: Filterable) => boolean {
  const names = tagNames(tags)
  const [only] = names
  if (only === '*') return () => true
  if (names.length === 1) return (message) => message.tag === only
  const set: ReadonlySet<string | undefined> = new Set(names)
  return (message) => set.has(message.tag)
}

/** The tags that are named, as they were written; `*` stands alone. */
export function tagNames(tags: string): readonly string[] {
  if (tags.length > maxTagLength)
    throw new MessagingError(
      'invalid',
      `filter.tag: ${tags.length} characters long, at most ${maxTagLength} are allowed`,
    )
  const names = tags.split('||').map((name) => name.trim())
  if (names.length === 1 && names[0] === '*') return names
  for (const name of names) {
    const fault =
      name === ''
        ? 'a tag is empty'
        : name === '*'
          ? "'*' stands alone"
          : name.includes('|')
            ? "tags are parted by '||', and none has a '|' in it"
            : undefined
    if (fault !== undefined)
      throw new MessagingError(
        'invalid',
        `filter.tag: ${fault} in ${JSON.stringify(tags.slice(0, 100))}; write one tag, 'a || b', or '*' for all`,
      )
  }
  return names
}
