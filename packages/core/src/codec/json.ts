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
    // Each level takes two bytes, so most bodies are too short to be too deep.
    if (body.length > 2 * maxDepth && isTooDeep(body))
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
    if (suspicious.test(source)) dropUnsafeKeys(value)
    return value
  },
}

/** One of the unsafe names, or an escape of a letter or of `_` that could spell one. Bodies without need no walk. */
const suspicious = /"(?:__proto__|constructor|prototype)"|\\u00[567]/

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

/** Counts brackets outside of strings, on the bytes: no byte of a longer character is one of ASCII. Wrong JSON is left to the parser. */
function isTooDeep(body: Uint8Array): boolean {
  let depth = 0
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] as number
    if (byte === quote) {
      for (at += 1; at < body.length && body[at] !== quote; at += 1) if (body[at] === backslash) at += 1
    } else if ((byte | 0x20) === opening) {
      depth += 1
      if (depth > maxDepth) return true
    } else if ((byte | 0x20) === closing) depth -= 1
  }
  return false
}

const quote = 0x22
const backslash = 0x5c
/** `{` and, but for one bit, `[`. */
const opening = 0x7b
/** `}` and, but for one bit, `]`. */
const closing = 0x7d
