/** A buffer that grows while something is written into it as Kafka's protocol has it. */
export class Writing {
  /** How much is written. */
  at = 0
  #bytes: Buffer
  #view: DataView

  constructor(size: number) {
    // Not of Node's shared pool, which one small slice would keep alive as a whole.
    this.#bytes = Buffer.allocUnsafeSlow(size)
    this.#view = viewOf(this.#bytes)
  }

  /** What was written from `start` on; holds until the next write. */
  written(start = 0): Buffer {
    return this.#bytes.subarray(start, this.at)
  }
  int8(value: number): void {
    const at = this.#next(1)
    this.#view.setInt8(at, value)
  }
  int16(value: number): void {
    const at = this.#next(2)
    this.#view.setInt16(at, value)
  }
  int32(value: number): void {
    const at = this.#next(4)
    this.#view.setInt32(at, value)
  }
  int64(value: number | bigint): void {
    const at = this.#next(8)
    this.#view.setBigInt64(at, BigInt(value))
  }
  /** Where there is none, -1 is written for its length. */
  text(text: string | undefined): void {
    const size = text === undefined ? -1 : Buffer.byteLength(text)
    this.int16(size)
    if (text !== undefined) this.#put(text, size)
  }
  /** Room for an int32 that `int32At` fills in when it is known. */
  skip(size: number): number {
    return this.#next(size)
  }
  int32At(at: number, value: number): void {
    this.#view.setInt32(at, value)
  }
  bytes(value: Uint8Array): void {
    const at = this.#next(value.length)
    this.#bytes.set(value, at)
  }
  varint(value: number): void {
    this.#room(5)
    this.at = writeVarint(this.#bytes, this.at, value)
  }
  /** Of any whole number that JavaScript can hold. */
  varlong(value: number): void {
    if (value >= -0x40000000 && value < 0x40000000) {
      this.varint(value)
      return
    }
    this.#room(10)
    let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.at++] = Number(rest & 0x7fn) | 0x80
    this.#bytes[this.at++] = Number(rest)
  }
  /** With its length before it; where there is none, -1. */
  varBytes(value: Uint8Array | null): void {
    this.varint(value === null ? -1 : value.length)
    if (value !== null) this.bytes(value)
  }
  /** As UTF-8, with its length before it. */
  varText(text: string): void {
    const { length } = text
    // Short and plain, as names and ids are: a call into Node's writers would take longer.
    if (length < 64) {
      this.#room(5 + length)
      const bytes = this.#bytes
      const begin = writeVarint(bytes, this.at, length)
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 0x7f) break
        bytes[begin + i] = code
      }
      if (i === length) {
        this.at = begin + length
        return
      }
    }
    const size = Buffer.byteLength(text)
    this.varint(size)
    this.#put(text, size)
  }
  /** Begins something whose length goes before it; gives what `close` needs. */
  open(): number {
    return this.#next(usualLength)
  }
  close(opened: number): void {
    const length = this.at - opened - usualLength
    const size = sizeOfVarint(length)
    if (size !== usualLength) {
      this.#room(size)
      this.#bytes.copyWithin(opened + size, opened + usualLength, this.at)
      this.at += size - usualLength
    }
    writeVarint(this.#bytes, opened, length)
  }

  #put(text: string, size: number): void {
    const at = this.#next(size)
    this.#bytes.write(text, at, 'utf8')
  }
  /** May take another buffer: nothing of the old one may be held over it. */
  #room(size: number): void {
    if (this.at + size > this.#bytes.length) this.#grow(size)
  }
  #next(size: number): number {
    this.#room(size)
    const { at } = this
    this.at = at + size
    return at
  }
  #grow(size: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.at + size, this.#bytes.length * 2))
    bytes.set(this.written())
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }
}

/** A record of 64 to 8,191 bytes has a length of two bytes; others are moved. */
const usualLength = 2

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let next = at
  for (; rest > 0x7f; rest >>>= 7) bytes[next++] = (rest & 0x7f) | 0x80
  bytes[next++] = rest
  return next
}

function sizeOfVarint(length: number): number {
  let size = 1
  for (let rest = length >>> 6; rest > 0; rest >>>= 7) size++
  return size
}
