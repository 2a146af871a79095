import { describe, MessagingError } from '../errors.ts'
import type { Codec } from '../face/messages.ts'
import { faultOf, isUnsafeKey, maxDepth } from './plain-data.ts'
import { beginning, decodeText } from './text-bytes.ts'

/**
 * JSON as UTF-8. Refuses to write what would not come back (undefined in a list, NaN, bigint, functions, maps, bytes, cycles); a
 * property that is undefined is left out. Reading drops the keys `__proto__`, `constructor` and `prototype` at any depth, takes the last of equal
 * keys, and refuses what nests deeper than 1,000 levels.
 */
export const json: Codec = {
  contentType: 'application/json',
  encode(value, { topic }) {
    let written: string | undefined
    let fault: string | undefined
    try {
      fault = faultOf(value)
      if (fault === undefined) written = JSON.stringify(value)
    } catch (cause) {
      throw new MessagingError('codec', `json: a body for '${topic}' cannot be written: ${describe(cause)}`, { cause })
    }
    if (fault !== undefined)
      throw new MessagingError('codec', `json: a body for '${topic}' cannot be written: ${fault}`)
    if (written === undefined)
      throw new MessagingError(
        'codec',
        `json: a body for '${topic}' says by its toJSON() that it has no form in JSON; send null`,
      )
    return Buffer.from(written, 'utf8')
  },
  decode(body, { topic }) {
    const whole = decodeText(body, 'json')
    const source = whole.charCodeAt(0) === 0xfeff ? whole.slice(1) : whole
    // Each level takes two characters, so most bodies are too short to be too deep.
    if (source.length > 2 * maxDepth && isTooDeep(source))
      throw new MessagingError('codec', `json: a body of '${topic}' nests deeper than ${maxDepth} levels`)
    let value: unknown
    try {
      value = JSON.parse(source)
    } catch (cause) {
      // The cause's text quotes the body, which belongs in no log: only its place is told.
      const place = /position \d+/.exec(describe(cause))?.[0]
      throw new MessagingError(
        'codec',
        `json: a body of '${topic}' (${body.length} bytes, beginning ${beginning(body)}) is not JSON${place === undefined ? '' : ` at ${place}`}; was it written with another codec?`,
      )
    }
    if (mayHoldUnsafeKey(source)) dropUnsafeKeys(value)
    return value
  },
}

/** An escape of a letter or of `_`. */
const hiddenLetter = /\\u00[567]/

/** Bodies without these names, and without escapes that could spell them, need no walk. */
function mayHoldUnsafeKey(source: string): boolean {
  return (
    source.includes('"__proto__"') ||
    source.includes('"constructor"') ||
    source.includes('"prototype"') ||
    hiddenLetter.test(source)
  )
}

/** JSON.parse makes `__proto__` an own property like any other, so that taking it away afterwards is in time. */
function dropUnsafeKeys(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const each of value) dropUnsafeKeys(each)
    return
  }
  for (const key of Object.keys(value)) {
    if (isUnsafeKey(key)) delete (value as Record<string, unknown>)[key]
    else dropUnsafeKeys((value as Record<string, unknown>)[key])
  }
}

/** Counts brackets outside of strings; wrong JSON is left to the parser. */
function isTooDeep(source: string): boolean {
  let depth = 0
  for (let at = 0; at < source.length; at += 1) {
    const unit = source.charCodeAt(at)
    if (unit === 0x22) {
      at = endOfString(source, at)
    } else if (unit === 0x7b || unit === 0x5b) {
      depth += 1
      if (depth > maxDepth) return true
    } else if (unit === 0x7d || unit === 0x5d) depth -= 1
  }
  return false
}

/** Where the quote stands that ends this string: one with an even number of backslashes before it. */
function endOfString(source: string, from: number): number {
  let at = from
  for (;;) {
    at = source.indexOf('"', at + 1)
    if (at < 0) return source.length
    let slashes = 0
    while (source.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1
    if (slashes % 2 === 0) return at
  }
}
