import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(4_096)
let used = pool.length
const hex: readonly string[] = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, '0'))
let lastMs = 0
let count = 0

/** A UUIDv7; those of one process rise, even within a millisecond. */
export function newId(nowMs: number): string {
  if (nowMs > lastMs) {
    lastMs = nowMs
    count = 0
  } else if (++count > 0xfff) {
    lastMs++
    count = 0
  }
  if (used + 8 > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const r = pool.subarray(used, used + 8)
  used += 8
  const high = Math.floor(lastMs / 65_536)
  const low = lastMs % 65_536
  const h = (n: number): string => hex[n & 0xff] as string
  const time = `${h(high / 16_777_216)}${h(high >>> 16)}${h(high >>> 8)}${h(high)}-${h(low >>> 8)}${h(low)}`
  const b = (n: number): string => h(r[n] as number)
  return `${time}-7${(count + 0x1000).toString(16).slice(1)}-${h(((r[0] as number) & 0x3f) | 0x80)}${b(1)}-${b(2)}${b(3)}${b(4)}${b(5)}${b(6)}${b(7)}`
}
