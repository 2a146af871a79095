import { MessagingError } from '../errors.ts'
import type { Codec } from '../face/messages.ts'
import { checkBytes, kindOf } from './text-bytes.ts'

/** The bytes as they are, uncopied: who sends them leaves them alone until the send has settled. */
export const bytes: Codec = {
  contentType: 'application/octet-stream',
  encode(value, { topic }) {
    if (!(value instanceof Uint8Array))
      throw new MessagingError(
        'codec',
        `bytes: a body for '${topic}' is ${kindOf(value)}; send a Uint8Array or a Buffer, or use json or text`,
      )
    return value
  },
  decode(body) {
    checkBytes(body, 'bytes')
    return body
  },
}
