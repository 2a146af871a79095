import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { Fault } from '../errors.ts'
import { internals, type NativeCodec } from './kafkajs-internals.ts'
import type { Compression } from './port.ts'

/** Kafka's number of each codec. */
export const compressionNumber: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

const load = createRequire(import.meta.url)

/** Gives kafkajs the codecs that it lacks. zstd is Node's own; for the others a package is loaded when the first such batch comes. */
export function useCodecs(): void {
  const { codecs } = internals()
  codecs[compressionNumber.zstd] = () => zstd
  codecs[compressionNumber.lz4] = () => lz4()
  codecs[compressionNumber.snappy] = () => (optional('kafkajs-snappy', 'snappy') as () => NativeCodec)()
}

const [deflate, inflate] = [promisify(zstdCompress), promisify(zstdDecompress)]
const zstd: NativeCodec = {
  compress: ({ buffer }) => deflate(buffer),
  decompress: (buffer) => inflate(buffer),
}

interface Lz4 {
  compressFrame(data: Buffer): Promise<Buffer>
  decompressFrame(data: Buffer): Promise<Buffer>
}
function lz4(): NativeCodec {
  const { compressFrame, decompressFrame } = optional('lz4-napi', 'lz4') as Lz4
  return { compress: ({ buffer }) => compressFrame(buffer), decompress: (buffer) => decompressFrame(buffer) }
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
