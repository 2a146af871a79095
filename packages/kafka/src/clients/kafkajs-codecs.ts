import { createRequire } from 'node:module'
import { Fault } from '../errors.ts'
import { type Codec, codecsBeside } from '../protocol/codecs.ts'

const load = createRequire(import.meta.url)

/** The codecs beside kafkajs: those that Node lacks are loaded from their packages when the first such batch comes. */
export const kafkajsCodecs = codecsBeside({ snappy, lz4 })

function snappy(): Codec {
  const { compress, decompress } = (optional('kafkajs-snappy', 'snappy') as () => NativeCodec)()
  return { compress: (buffer) => compress({ buffer }), decompress }
}
/** How a codec is made for kafkajs. */
interface NativeCodec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}

function lz4(): Codec {
  const { compressFrame, decompressFrame } = optional('lz4-napi', 'lz4') as Lz4
  return { compress: compressFrame, decompress: decompressFrame }
}
interface Lz4 {
  compressFrame(data: Buffer): Promise<Buffer>
  decompressFrame(data: Buffer): Promise<Buffer>
}

function optional(name: string, codec: string): unknown {
  try {
    return load(name)
  } catch (cause) {
    throw new Fault(
      'broker',
      'UNSUPPORTED_COMPRESSION_TYPE',
      `a batch is compressed with ${codec}, which kafkajs reads and writes with the package ${name} only; run: pnpm add ${name}`,
      cause,
    )
  }
}
