// LZ4 in the frame format, as Kafka's Java client writes it: independent blocks of 64 KiB, no checksums but the header's. Frames of any make are read.
import { copy, repeat, repetitions } from './repetitions.ts'

const magic = 0x184d2204
const blockBytes = 65_536
const stored = 0x80000000
/** Version 1, independent blocks; blocks of at most 64 KiB; the checksum of these two. */
const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])

/** Compresses to one frame. */
export function compressLz4(data: Buffer): Buffer {
  const blocks = Math.ceil(data.length / blockBytes)
  const out = Buffer.allocUnsafe(header.length + data.length + (data.length >> 7) + 32 * (blocks + 1))
  let at = header.copy(out)
  for (let from = 0; from < data.length; from += blockBytes) {
    const to = Math.min(from + blockBytes, data.length)
    const end = writeBlock(data, from, to, out, at + 4)
    if (end - at - 4 < to - from) {
      out.writeUInt32LE(end - at - 4, at)
      at = end
    } else {
      out.writeUInt32LE(((to - from) | stored) >>> 0, at)
      at += 4 + data.copy(out, at + 4, from, to)
    }
  }
  at = out.writeUInt32LE(0, at)
  return out.subarray(0, at)
}

/** Reads frames, one after another. Throws on what is damaged. */
export function decompressLz4(data: Buffer): Buffer {
  const frames: Buffer[] = []
  for (let at = 0; at < data.length; ) at = readFrame(data, at, frames)
  return frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames)
}

function writeBlock(data: Buffer, from: number, to: number, out: Buffer, start: number): number {
  let at = start
  const long = (length: number): void => {
    let left = length
    for (; left >= 255; left -= 255) out[at++] = 255
    out[at++] = left
  }
  const fresh = (first: number, end: number, low: number): void => {
    const length = end - first
    out[at++] = (Math.min(length, 15) << 4) | low
    if (length >= 15) long(length - 15)
    at = copy(data, first, end, out, at)
  }
  const rest = repetitions(data, from, to, (first, end, distance, length) => {
    fresh(first, end, Math.min(length - 4, 15))
    at = out.writeUInt16LE(distance, at)
    if (length - 4 >= 15) long(length - 19)
  })
  fresh(rest, to, 0)
  return at
}

/** Reads the frame at a place; returns where it ends. */
function readFrame(data: Buffer, start: number, frames: Buffer[]): number {
  if (start + 7 > data.length) throw damaged()
  const first = data.readUInt32LE(start)
  // What others may have put between frames.
  if (first >>> 4 === 0x184d2a5) return start + 8 + data.readUInt32LE(start + 4)
  if (first !== magic) throw damaged()
  const flags = data[start + 4] as number
  const most = 1 << (8 + 2 * (((data[start + 5] as number) >> 4) & 7))
  let at = start + 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4)
  let out = Buffer.allocUnsafe(Math.min(most, data.length * 4))
  let length = 0
  const room = (bytes: number): void => {
    if (length + bytes <= out.length) return
    const wider = Buffer.allocUnsafe(Math.max(out.length * 2, length + bytes))
    out.copy(wider, 0, 0, length)
    out = wider
  }
  for (;;) {
    if (at + 4 > data.length) throw damaged()
    const size = data.readUInt32LE(at)
    at += 4
    if (size === 0) break
    const end = at + (size & 0x7fffffff)
    if (end > data.length) throw damaged()
    if (size >= stored) {
      room(end - at)
      length += data.copy(out, length, at, end)
    } else {
      room(most)
      length = readBlock(data, at, end, out, length, length + most)
    }
    at = end + ((flags & 16) === 0 ? 0 : 4)
  }
  frames.push(out.subarray(0, length))
  return at + ((flags & 4) === 0 ? 0 : 4)
}

/** Into `out` from `start`, where what earlier blocks gave lies before it; returns where it ends. */
function readBlock(data: Buffer, from: number, end: number, out: Buffer, start: number, most: number): number {
  let at = from
  let to = start
  const long = (length: number): number => {
    let sum = length
    if (length === 15)
      for (let byte = 255; byte === 255; sum += byte) {
        if (at >= end) throw damaged()
        byte = data[at++] as number
      }
    return sum
  }
  while (at < end) {
    const token = data[at++] as number
    const fresh = long(token >> 4)
    if (at + fresh > end || to + fresh > most) throw damaged()
    to = copy(data, at, at + fresh, out, to)
    at += fresh
    if (at === end) return to
    if (at + 2 > end) throw damaged()
    const distance = data.readUInt16LE(at)
    at += 2
    const length = long(token & 15) + 4
    if (distance === 0 || distance > to || to + length > most) throw damaged()
    to = repeat(out, to, distance, length)
  }
  return to
}

function damaged(): Error {
  return new Error('a batch compressed with lz4 is damaged')
}
