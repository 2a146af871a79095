import { Fault } from '../errors.ts'

/** A place in a buffer, moved on by reading as Kafka's protocol has it. */
export class Reading {
  at = 0
  readonly bytes: Buffer
  readonly #view: DataView

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get left(): number {
    return this.bytes.length - this.at
  }
  int8(): number {
    return this.#view.getInt8(this.#past(1))
  }
  int16(): number {
    return this.#view.getInt16(this.#past(2))
  }
  int32(): number {
    return this.#view.getInt32(this.#past(4))
  }
  /** Offsets and times: beyond 2^53 it is no longer exact. */
  int64(): number {
    const at = this.#past(8)
    return this.#view.getInt32(at) * 0x100000000 + this.#view.getUint32(at + 4)
  }
  /** All of it, as text. */
  id(): string {
    return this.#view.getBigInt64(this.#past(8)).toString()
  }
  text(): string | undefined {
    const size = this.int16()
    if (size < 0) return undefined
    const at = this.#past(size)
    return this.bytes.toString('utf8', at, at + size)
  }
  /** A list; none is an empty one. */
  list<T>(one: () => T): T[] {
    const length = this.int32()
    if (length > this.left) throw torn()
    const out: T[] = []
    for (let i = 0; i < length; i++) out.push(one())
    return out
  }
  skip(size: number): void {
    this.at += size
  }
  varint(): number {
    const { bytes } = this
    let byte = bytes[this.at++] as number
    let raw = byte & 0x7f
    for (let shift = 7; byte > 0x7f && shift < 35; shift += 7) {
      byte = bytes[this.at++] as number
      raw |= (byte & 0x7f) << shift
    }
    return (raw >>> 1) ^ -(raw & 1)
  }
  varlong(): number {
    const { bytes } = this
    let size = 1
    while (size < 10 && (bytes[this.at + size - 1] as number) > 0x7f) size++
    if (size <= 4) return this.varint()
    let raw = 0n
    for (let i = 0; i < size; i++) raw |= BigInt((bytes[this.at++] as number) & 0x7f) << BigInt(7 * i)
    return Number(BigInt.asIntN(64, (raw >> 1n) ^ -(raw & 1n)))
  }
  /** Bytes with their length before them, where they lie; null where the length is -1. */
  varBytes(): Buffer | null {
    const size = this.varint()
    if (size < 0) return null
    const at = this.#past(size)
    return this.bytes.subarray(at, at + size)
  }

  #past(size: number): number {
    const { at } = this
    if (size > this.bytes.length - at) throw torn()
    this.at = at + size
    return at
  }
}

/** What cannot be what a broker sends. */
export function torn(): Fault {
  return new Fault('broker', 'CORRUPT_MESSAGE', 'an answer of the broker ends in the middle of a field')
}
