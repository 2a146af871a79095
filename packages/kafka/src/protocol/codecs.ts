import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type { Compression } from '../clients/port.ts'
import { Fault } from '../errors.ts'

/** How the records of a batch are made smaller, and read again. */
export interface Codec {
  compress(data: Buffer): Promise<Buffer> | Buffer
  decompress(data: Buffer): Promise<Buffer> | Buffer
}

/** The codec of a number in Kafka's protocol; throws a `Fault` where it is not there. */
export type Codecs = (number: number) => Codec

/** Kafka's number of each. */
export const compressionNumber: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

/** Those that Node has, and others as a client brings them. */
export function codecsBeside(others: { snappy(): Codec; lz4(): Codec }): Codecs {
  return (number) => {
    switch (number) {
      case compressionNumber.gzip:
        return byNode.gzip
      case compressionNumber.zstd:
        return byNode.zstd
      case compressionNumber.snappy:
        return others.snappy()
      case compressionNumber.lz4:
        return others.lz4()
      default:
        throw new Fault(
          'broker',
          'UNSUPPORTED_COMPRESSION_TYPE',
          `a batch is compressed by the unknown codec ${number}`,
        )
    }
  }
}

const byNode = {
  gzip: { compress: promisify<Buffer, Buffer>(zlib.gzip), decompress: promisify<Buffer, Buffer>(zlib.gunzip) },
  // Looked up when it is used: an older Node has none, and must still be able to import this.
  zstd: {
    compress: (data) => promisify<Buffer, Buffer>(zlib.zstdCompress)(data),
    decompress: (data) => promisify<Buffer, Buffer>(zlib.zstdDecompress)(data),
  },
} as const satisfies Record<string, Codec>
