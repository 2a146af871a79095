// Texts as UTF-8 and back, exactly: what cannot go there and come back the same is refused.
import { MessagingError } from '../errors.ts'

// A byte order mark is part of a text; `json` takes it away itself.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of these bytes; throws `codec` where they are no UTF-8. */
export function decodeText(bytes: Uint8Array, codec: string): string {
  checkBytes(bytes, codec)
  // A buffer reads faster than the decoder, and puts this character where it met what is no UTF-8.
  const text = (bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)).toString()
  if (!text.includes('\ufffd')) return text
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new MessagingError(
      'codec',
      `${codec}: the body (${bytes.length} bytes, beginning ${beginning(bytes)}) is not UTF-8; read it with the codec it was written with, or with bytes`,
      { cause },
    )
  }
}

/** Throws `codec` where a driver or a caller gave no bytes. */
export function checkBytes(bytes: unknown, codec: string): asserts bytes is Uint8Array {
  if (!(bytes instanceof Uint8Array))
    throw new MessagingError('codec', `${codec}: the body is ${kindOf(bytes)}, not a Uint8Array`)
}

/** The first bytes, to recognise a format by; never the whole of a user's data. */
export function beginning(bytes: Uint8Array): string {
  return bytes.length === 0 ? 'nowhere: it is empty' : Buffer.from(bytes.subarray(0, 4)).toString('hex')
}

/** What a value is, for an error: its kind, never its content. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'a list'
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name
  return typeof name === 'string' && name !== '' && name !== 'Object' ? `an object of class ${name}` : 'an object'
}
