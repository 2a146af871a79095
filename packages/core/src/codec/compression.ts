// gzip and zstd around another codec. What strangers send is unpacked within bounds, whatever it claims of itself.
import zlib from 'node:zlib'
import { checkValue } from '../checked.ts'
import { isMessagingError, MessagingError } from '../errors.ts'
import type { Codec, Encoded } from '../face/messages.ts'
import { type Packing, packedType } from './content-type.ts'
import { json } from './json.ts'
import { codecRule } from './rule.ts'
import { beginning, checkBytes } from './text-bytes.ts'

/** Largest body that is unpacked, in bytes. */
export const maxUnpacked = 64 * 2 ** 20
/** How many times larger than its packed form a body may be, once it is larger than `freeUnpacked`. */
export const maxRatio = 200
/** Up to here no ratio is asked: the largest message that is sent unless that is raised. */
export const freeUnpacked = 2 ** 20

interface Method {
  readonly packing: Packing
  /** The first bytes of all that was packed so. */
  readonly magic: string
  readonly pack: (bytes: Uint8Array) => Uint8Array
  /** Throws ERR_BUFFER_TOO_LARGE beyond `most`; must take all of the input. */
  readonly unpack: (bytes: Uint8Array, most: number) => Uint8Array
}

const methods: Readonly<Record<Packing, Method>> = {
  gzip: {
    packing: 'gzip',
    magic: '1f8b',
    pack: (bytes) => zlib.gzipSync(bytes),
    unpack: (bytes, most) => zlib.gunzipSync(bytes, { maxOutputLength: most }),
  },
  zstd: {
    packing: 'zstd',
    magic: '28b52ffd',
    pack: (bytes) => ofNode('zstdCompressSync')(bytes, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } }),
    unpack: (bytes, most) => {
      // A frame that asks for a larger window than the largest body would make zlib reserve it before the first byte.
      const options = { maxOutputLength: most, params: { [zlib.constants.ZSTD_d_windowLogMax]: 26 }, info: true }
      const { buffer, engine } = ofNode('zstdDecompressSync')(bytes, options) as unknown as Unpacked
      if (engine.bytesWritten !== bytes.length) throw new Error('bytes follow after its end')
      return buffer
    },
  },
}

/** Looked up when it is used: a named import of what an older Node lacks would keep everything else from being imported. */
function ofNode<Name extends 'zstdCompressSync' | 'zstdDecompressSync'>(name: Name): (typeof zlib)[Name] {
  const found: (typeof zlib)[Name] | undefined = zlib[name]
  if (found !== undefined) return found
  throw new MessagingError(
    'unsupported',
    `zstd: this is Node ${process.versions.node}, which cannot; run Node 22.22 or later, or use gzip()`,
  )
}

/** What zlib gives with `info`, which its types leave out. */
interface Unpacked {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

const inside = new WeakMap<Codec, Codec>()

/** The codec within a packing one, or the codec itself. */
export function innermost(codec: Codec): Codec {
  return inside.get(codec) ?? codec
}

/** Bodies of `inner` (json unless named), packed with gzip. */
export function gzip(inner: Codec = json): Codec {
  return packed(inner, 'gzip')
}

/** Bodies of `inner` (json unless named), packed with zstd: smaller than gzip, and quicker on large ones. */
export function zstd(inner: Codec = json): Codec {
  return packed(inner, 'zstd')
}

/** A codec that packs what another makes. Content type `<inner>+gzip` or `<inner>+zstd`. */
export function packed(inner: Codec, packing: Packing): Codec {
  checkValue(`${packing}()`, 'what it packs', inner, codecRule)
  if (inside.has(inner))
    throw new MessagingError(
      'invalid',
      `${packing}: the codec within packs already (${inner.contentType}); once is enough`,
    )
  const method = methods[packing]
  const codec: Codec = {
    contentType: packedType(inner.contentType, packing),
    encode(value, message) {
      const encoded = inner.encode(value, message)
      return encoded instanceof Promise
        ? encoded.then((each) => pack(method, each, message.topic))
        : pack(method, encoded, message.topic)
    },
    decode: (body, message) => inner.decode(unpack(method, body, message.topic), message),
  }
  inside.set(codec, inner)
  return codec
}

function pack(method: Method, encoded: Encoded, topic: string): Encoded {
  if (encoded instanceof Uint8Array) return packBytes(method, encoded, topic)
  return { bytes: packBytes(method, encoded.bytes, topic), headers: encoded.headers }
}

/** Refuses what no reader would unpack, before it is sent. */
function packBytes({ packing, pack }: Method, bytes: Uint8Array, topic: string): Uint8Array {
  const result = pack(bytes)
  if (bytes.length > mostUnpacked(result.length))
    throw new MessagingError(
      'codec',
      `${packing}: a body for '${topic}' of ${bytes.length} bytes packs to ${result.length}, which readers would refuse (${bound}); send it in parts, or unpacked`,
    )
  return result
}

const bound = `at most ${maxUnpacked} bytes, and beyond ${freeUnpacked} at most ${maxRatio} times the packed size`

/** Largest body that this many packed bytes may become. */
function mostUnpacked(length: number): number {
  return Math.min(maxUnpacked, Math.max(freeUnpacked, length * maxRatio))
}

function unpack({ packing, magic, unpack }: Method, body: Uint8Array, topic: string): Uint8Array {
  checkBytes(body, packing)
  const what = `${packing}: a body of '${topic}' (${body.length} bytes)`
  const first = beginning(body)
  if (!first.startsWith(magic))
    throw new MessagingError(
      'codec',
      `${what} is not ${packing}: it begins ${first}, not ${magic}; read it with the codec it was written with`,
    )
  const most = mostUnpacked(body.length)
  try {
    return unpack(body, most)
  } catch (cause) {
    if (isMessagingError(cause)) throw cause
    const code = (cause as NodeJS.ErrnoException).code
    throw new MessagingError(
      'codec',
      code === 'ERR_BUFFER_TOO_LARGE'
        ? `${what} unpacks to more than ${most} bytes (${bound})`
        : `${what} is damaged: ${(cause as Error).message}`,
      { cause },
    )
  }
}
