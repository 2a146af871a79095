/**
 * The partition of a key exactly as Kafka's Java client chooses it: murmur2 over the key's bytes, sign bit off, modulo. Both our clients use
 * it, so that producers in any language agree where a key lies.
 */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

const mix = 0x5bd1e995

/** Murmur2 with Kafka's seed, as a signed 32-bit number. */
export function murmur2(data: Uint8Array): number {
  const length = data.length
  let h = 0x9747b28c ^ length
  const whole = length & ~3
  for (let i = 0; i < whole; i += 4) {
    let k =
      (data[i] as number) |
      ((data[i + 1] as number) << 8) |
      ((data[i + 2] as number) << 16) |
      ((data[i + 3] as number) << 24)
    k = Math.imul(k, mix)
    k ^= k >>> 24
    h = Math.imul(h, mix) ^ Math.imul(k, mix)
  }
  const left = length - whole
  if (left >= 3) h ^= (data[whole + 2] as number) << 16
  if (left >= 2) h ^= (data[whole + 1] as number) << 8
  if (left >= 1) h = Math.imul(h ^ (data[whole] as number), mix)
  h = Math.imul(h ^ (h >>> 13), mix)
  return (h ^ (h >>> 15)) | 0
}
