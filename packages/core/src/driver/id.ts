import { randomFillSync } from 'node:crypto'

/** One call for two thousand ids: a call costs more than its bytes. */
const pool = Buffer.alloc(16_384)
/** The same in hex: an id takes sixteen digits. */
let digits = ''
let used = 0
/** The first digit of the random part by the code of a random one, with the variant in it. */
const variant: readonly string[] = Array.from({ length: 103 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16)
  return Number.isNaN(value) ? '' : ((value & 3) | 8).toString(16)
})
const version: readonly string[] = Array.from({ length: 4_096 }, (_, n) => `-7${n.toString(16).padStart(3, '0')}-`)
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
  if (used === digits.length) {
    digits = randomFillSync(pool).toString('hex')
    used = 0
  }
  const at = used
  used += 16
  return `${time}${version[count]}${variant[digits.charCodeAt(at)]}${digits.slice(at + 1, at + 4)}-${digits.slice(at + 4, at + 16)}`
}

function timeOf(ms: number): string {
  const hex = Math.floor(ms).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}`
}
