// Snappy as Kafka's Java client writes it: blocks behind a header (the framing of xerial). Plain blocks, which other clients write, are read too.
import { copy, repeat, repetitions } from './repetitions.ts'

const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
const magic = header.subarray(0, 8)
const blockBytes = 65_536

/** Compresses to what every client of Kafka reads. */
export function compressSnappy(data: Buffer): Buffer {
  const blocks = Math.ceil(data.length / blockBytes)
  const out = Buffer.allocUnsafe(header.length + data.length + (data.length >> 5) + 32 * (blocks + 1))
  let at = header.copy(out)
  for (let from = 0; from < data.length; from += blockBytes) {
    const end = writeBlock(data, from, Math.min(from + blockBytes, data.length), out, at + 4)
    out.writeUInt32BE(end - at - 4, at)
    at = end
  }
  return out.subarray(0, at)
}

/** Reads blocks with or without the header. Throws on what is damaged. */
export function decompressSnappy(data: Buffer): Buffer {
  if (data.length < header.length || !data.subarray(0, magic.length).equals(magic)) return readBlock(data)
  const blocks: Buffer[] = []
  for (let at = header.length; at < data.length; ) {
    const end = at + 4 + data.readUInt32BE(at)
    if (end > data.length) throw damaged()
    blocks.push(readBlock(data.subarray(at + 4, end)))
    at = end
  }
  return blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks)
}

function writeBlock(data: Buffer, from: number, to: number, out: Buffer, start: number): number {
  let at = start
  for (let length = to - from; ; length >>>= 7) {
    out[at++] = length < 128 ? length : (length & 127) | 128
    if (length < 128) break
  }
  const literal = (first: number, end: number): void => {
    const length = end - first - 1
    if (length < 0) return
    if (length < 60) out[at++] = length << 2
    else if (length < 256) {
      out[at++] = 60 << 2
      out[at++] = length
    } else {
      out[at++] = 61 << 2
      at = out.writeUInt16LE(length, at)
    }
    at = copy(data, first, end, out, at)
  }
  const rest = repetitions(data, from, to, (fresh, end, distance, length) => {
    literal(fresh, end)
    for (let left = length; left > 0; left -= 64) {
      out[at++] = ((Math.min(left, 64) - 1) << 2) | 2
      at = out.writeUInt16LE(distance, at)
    }
  })
  literal(rest, to)
  return at
}

function readBlock(data: Buffer): Buffer {
  let at = 0
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = data[at++]
    if (byte === undefined || shift > 28) throw damaged()
    length += (byte & 127) * 2 ** shift
    if (byte < 128) break
  }
  // Sixty-four bytes come of three at best: a length beyond that is a lie that would cost memory.
  if (length > data.length * 22) throw damaged()
  const out = Buffer.allocUnsafe(length)
  let to = 0
  while (at < data.length) {
    const tag = data[at++] as number
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const extra = short < 60 ? 0 : short - 59
      if (at + extra > data.length) throw damaged()
      const size = (extra === 0 ? short : data.readUIntLE(at, extra)) + 1
      at += extra
      if (at + size > data.length || to + size > length) throw damaged()
      to = copy(data, at, at + size, out, to)
      at += size
      continue
    }
    const bytes = kind === 3 ? 4 : kind
    if (at + bytes > data.length) throw damaged()
    const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const distance = kind === 1 ? ((tag >> 5) << 8) | (data[at] as number) : data.readUIntLE(at, bytes)
    at += bytes
    if (distance === 0 || distance > to || to + size > length) throw damaged()
    to = repeat(out, to, distance, size)
  }
  if (to !== length) throw damaged()
  return out
}

function damaged(): Error {
  return new Error('a batch compressed with snappy is damaged')
}
