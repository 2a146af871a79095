import { type Codec, codecsBeside } from '../protocol/codecs.ts'
import { compressLz4, decompressLz4 } from '../protocol/lz4.ts'
import { compressSnappy, decompressSnappy } from '../protocol/snappy.ts'

const snappy: Codec = { compress: compressSnappy, decompress: decompressSnappy }
const lz4: Codec = { compress: compressLz4, decompress: decompressLz4 }

/** The codecs beside kafkajs, which brings neither of these: they are ours. */
export const kafkajsCodecs = codecsBeside({ snappy: () => snappy, lz4: () => lz4 })
