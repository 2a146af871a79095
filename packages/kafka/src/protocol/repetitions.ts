const hashBits = 14
const seen = new Int32Array(1 << hashBits)

/** Nothing that repeats begins so near to the end of a block, nor reaches nearer than the second: LZ4 asks for it, Snappy allows it. */
const [lastStart, lastEnd] = [12, 5]

/**
 * Finds what of a block of at most 64 KiB repeats something before it. Told from front to back: what is new from `fresh` to `at`, then `length`
 * bytes that lie `distance` back. Returns where the rest begins, which is new, too.
 */
export function repetitions(
  data: Buffer,
  from: number,
  to: number,
  tell: (fresh: number, at: number, distance: number, length: number) => void,
): number {
  seen.fill(-1)
  let fresh = from
  let misses = 0
  for (let at = from; at < to - lastStart; ) {
    const four = data.readInt32LE(at)
    const slot = Math.imul(four, 0x9e3779b1) >>> (32 - hashBits)
    const before = seen[slot] as number
    seen[slot] = at
    if (before < from || data.readInt32LE(before) !== four) {
      // What has not repeated for long will hardly begin to: look less often.
      at += 1 + (misses++ >> 6)
      continue
    }
    misses = 0
    let length = 4
    while (at + length < to - lastEnd && data[before + length] === data[at + length]) length++
    tell(fresh, at, at - before, length)
    at += length
    fresh = at
  }
  return fresh
}

/** To call out of JavaScript costs more than to move so many bytes one by one. */
const few = 32

/** Copies a part of `data` to a place in `out`; returns where it ends there. */
export function copy(data: Buffer, from: number, to: number, out: Buffer, at: number): number {
  if (to - from > few) return at + data.copy(out, at, from, to)
  let end = at
  for (let i = from; i < to; i++) out[end++] = data[i] as number
  return end
}

/** Copies within a buffer from `distance` back; where source and target overlap, what was just written is repeated. */
export function repeat(out: Buffer, at: number, distance: number, length: number): number {
  const end = at + length
  if (length > few && distance >= length) out.copyWithin(at, at - distance, end - distance)
  else for (let i = at; i < end; i++) out[i] = out[i - distance] as number
  return end
}
