import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(4_096)
let used = pool.length
const hex: readonly string[] = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, '0'))
/** The first byte of the random part, with the variant in it. */
const variant: readonly string[] = Array.from({ length: 256 }, (_, n) => hex[(n & 0x3f) | 0x80] as string)
const version: readonly string[] = Array.from({ length: 16 }, (_, n) => `-7${n.toString(16)}`)
let lastMs = 0
let count = 0
/** Of `lastMs`: ids of one millisecond share it. */
let time = ''

/** A UUIDv7; those of one process rise, even within a millisecond. */
export function newId(nowMs: number): string {
  if (nowMs > lastMs) {
    lastMs = nowMs
    count = 0
    time = timeOf(lastMs)
  } else if (++count > 0xfff) {
    lastMs++
    count = 0
    time = timeOf(lastMs)
  }
  if (used + 8 > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const at = used
  used += 8
  const b = (n: number): string => hex[pool[at + n] as number] as string
  return `${time}${version[count >>> 8]}${hex[count & 0xff]}-${variant[pool[at] as number]}${b(1)}-${b(2)}${b(3)}${b(4)}${b(5)}${b(6)}${b(7)}`
}

function timeOf(ms: number): string {
  const digits = Math.floor(ms).toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}`
}
