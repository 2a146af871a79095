import type { Rule } from '../checked.ts'
import type { Codec } from '../face/messages.ts'

/** What can be a codec. */
export const codecRule: Rule = (value) => {
  const codec = value as Partial<Codec> | null
  return typeof codec === 'object' &&
    codec !== null &&
    typeof codec.contentType === 'string' &&
    typeof codec.encode === 'function' &&
    typeof codec.decode === 'function'
    ? undefined
    : 'a codec, such as json, text, bytes, gzip() or zstd()'
}
