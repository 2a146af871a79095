/** Of each byte value, followed by 0 to 15 zero bytes. */
const tables = new Int32Array(16 * 256)
for (let n = 0; n < 256; n++) {
  let rest = n
  for (let bit = 0; bit < 8; bit++) rest = (rest & 1) === 1 ? (rest >>> 1) ^ 0x82f63b78 : rest >>> 1
  tables[n] = rest
}
for (let n = 256; n < tables.length; n++) {
  const before = tables[n - 256] as number
  tables[n] = (tables[before & 255] as number) ^ (before >>> 8)
}

/** CRC-32C (Castagnoli), by which Kafka guards its batches; sixteen bytes at a time, three times as fast as one at a time. */
export function crc32c(data: Uint8Array, start = 0, end = data.length): number {
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  const at = (index: number): number => tables[index] as number
  let crc = -1
  let i = start
  for (; i + 16 <= end; i += 16) {
    const a = crc ^ view.getInt32(i, true)
    const b = view.getInt32(i + 4, true)
    const c = view.getInt32(i + 8, true)
    const d = view.getInt32(i + 12, true)
    crc =
      at(3840 | (a & 255)) ^
      at(3584 | ((a >>> 8) & 255)) ^
      at(3328 | ((a >>> 16) & 255)) ^
      at(3072 | (a >>> 24)) ^
      at(2816 | (b & 255)) ^
      at(2560 | ((b >>> 8) & 255)) ^
      at(2304 | ((b >>> 16) & 255)) ^
      at(2048 | (b >>> 24)) ^
      at(1792 | (c & 255)) ^
      at(1536 | ((c >>> 8) & 255)) ^
      at(1280 | ((c >>> 16) & 255)) ^
      at(1024 | (c >>> 24)) ^
      at(768 | (d & 255)) ^
      at(512 | ((d >>> 8) & 255)) ^
      at(256 | ((d >>> 16) & 255)) ^
      at(d >>> 24)
  }
  for (; i < end; i++) crc = at((crc ^ (data[i] as number)) & 255) ^ (crc >>> 8)
  return ~crc >>> 0
}
