import { MessagingError } from '../errors.ts'
import type { Codec } from '../face/messages.ts'
import { decodeText, kindOf } from './text-bytes.ts'

/** Strings as UTF-8. Half a surrogate pair is refused: it has no form in UTF-8 and would arrive as another character. */
export const text: Codec = {
  contentType: 'text/plain; charset=utf-8',
  encode(value, { topic }) {
    if (typeof value !== 'string')
      throw new MessagingError(
        'codec',
        `text: a body for '${topic}' is ${kindOf(value)}; send a string, or use json or bytes`,
      )
    if (!value.isWellFormed())
      throw new MessagingError(
        'codec',
        `text: a body for '${topic}' holds half a surrogate pair; mend it with toWellFormed(), or send bytes`,
      )
    return Buffer.from(value, 'utf8')
  },
  decode: (body) => decodeText(body, 'text'),
}
