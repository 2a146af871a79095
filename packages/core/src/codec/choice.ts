// Which codec reads a body: the topic's, unless the message says that it is packed otherwise than the topic's codec packs.
import type { Codec } from '../face/messages.ts'
import { innermost, packed } from './compression.ts'
import { unpackedType } from './content-type.ts'

const made = new WeakMap<Codec, Map<string, Codec>>()

/** Content types remembered per codec; they come from strangers. */
const maxRemembered = 64

/**
 * A topic may begin or cease to pack, or go from gzip to zstd, while messages wait: where the content type names the same type within,
 * its packing counts. In all else the topic's codec reads: foreign senders name anything, or nothing.
 */
export function readingCodec(codec: Codec, contentType: string | undefined): Codec {
  if (contentType === undefined || contentType === codec.contentType) return codec
  let known = made.get(codec)
  if (known === undefined) {
    known = new Map()
    made.set(codec, known)
  }
  let found = known.get(contentType)
  if (found === undefined) {
    found = choose(codec, contentType)
    if (known.size < maxRemembered) known.set(contentType, found)
  }
  return found
}

function choose(codec: Codec, contentType: string): Codec {
  const inner = innermost(codec)
  const own = unpackedType(inner.contentType)
  const { type, packings } = unpackedType(contentType)
  if (type !== own.type || own.packings.length > 0 || packings.length > 1) return codec
  const [packing] = packings
  return packing === undefined ? inner : packed(inner, packing)
}
