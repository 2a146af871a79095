/**
 * Which of `partitions` lanes a key belongs to: FNV-1a with a final mix over its UTF-8 bytes, the same in every language and on every
 * broker that has no partitioner of its own (Kafka has Java's). Part of the wire format.
 */
export function partitionOf(key: string, partitions: number): number {
  let h = 0x811c9dc5
  for (const byte of Buffer.from(key, 'utf8')) h = Math.imul(h ^ byte, 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) % partitions
}
