// `basic.publish` as bytes: its method, the properties and the body of AMQP 0-9-1, one message behind the other.

/** What goes before the body, besides what is the same for every message of ours: persistent, mandatory. */
export interface Properties {
  contentType?: string
  headers?: Readonly<Record<string, string | true>>
  /** 0 to 255. */
  priority?: number
  correlationId?: string
  replyTo?: string
  /** In ms. */
  expiration?: number
  messageId?: string
  /** In seconds. */
  timestamp?: number
}

/** A message that is ready to be written. */
export interface Outgoing {
  readonly id: string
  readonly exchange: string
  readonly key: string
  readonly body: Uint8Array
  readonly properties: Properties
  /** Handed to the socket; or taken back before, which may not be done any more then. */
  fate?: 'written' | 'withdrawn' | undefined
}

/** Collects messages as bytes. */
export interface Frames {
  /** Throws a TypeError (a text) or a RangeError (all headers) where it does not fit into AMQP, and then adds nothing. */
  add(message: Outgoing): void
  /** Bytes since the last `take`. */
  readonly size: number
  /** A copy of them. */
  take(): Buffer
}

const [methodFrame, headerFrame, bodyFrame, frameEnd] = [1, 2, 3, 0xce]
/** Type, channel and size before, the end mark behind. */
const frameBytes = 8
/** Room for a message's numbers and lengths; texts and the body ask for their own. */
const fixedBytes = 128
/** Most bytes of all headers together. */
const longestTable = 65_536
/** How much is kept between two messages. */
const restingBytes = 262_144
/** Of the methods that are kept: more keys than this are no few lanes. */
const mostMethods = 4_096

/** Frames for one channel of a connection that takes frames of at most `frameMax`. */
export function framesOn(channel: number, frameMax: number): Frames {
  let bytes = Buffer.allocUnsafeSlow(4_096)
  let end = 0
  const methods = new Map<string, Map<string, Uint8Array>>()
  let known = 0
  let [exchange, key, method] = ['', '', methodOf(channel, '', '')]

  const room = (least: number): void => {
    if (least <= bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(least, 2 * bytes.length))
    bytes.copy(larger, 0, 0, end)
    bytes = larger
  }
  const put32 = (value: number, at: number): void => {
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
  }
  /** Writes a text and tells how many bytes it has. */
  const put = (text: string, at: number): number => {
    const { length } = text
    if (at + 3 * length + fixedBytes > bytes.length) {
      end = at
      room(at + 3 * length + fixedBytes)
    }
    // A call out of the language costs more than so few characters.
    if (length > 48) return bytes.write(text, at)
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return bytes.write(text, at)
      bytes[at + i] = code
    }
    return length
  }
  /** Where it ends. */
  const putShort = (name: string, text: string, at: number): number => {
    const length = put(text, at + 1)
    if (length > 255) throw new TypeError(`its ${name} has ${length} bytes and may have 255`)
    bytes[at] = length
    return at + 1 + length
  }
  const putTable = (headers: Readonly<Record<string, string | true>>, from: number): number => {
    let at = from + 4
    for (const name in headers) {
      const value = headers[name]
      at = putShort('header name', name, at)
      if (value === true) {
        bytes[at] = 0x74 // t
        bytes[at + 1] = 1
        at += 2
        continue
      }
      if (typeof value !== 'string') throw new TypeError(`its header ${name} is no text`)
      const length = put(value, at + 5)
      bytes[at] = 0x53 // S
      put32(length, at + 1)
      at += 5 + length
    }
    if (at - from - 4 > longestTable)
      throw new RangeError(`its headers have ${at - from - 4} bytes and may have ${longestTable}`)
    put32(at - from - 4, from)
    return at
  }
  const methodFor = (message: Outgoing): Uint8Array => {
    let ofExchange = methods.get(message.exchange)
    let found = ofExchange?.get(message.key)
    if (found === undefined) {
      found = methodOf(channel, message.exchange, message.key)
      if (++known > mostMethods) {
        methods.clear()
        known = 1
        ofExchange = undefined
      }
      if (ofExchange === undefined) {
        ofExchange = new Map()
        methods.set(message.exchange, ofExchange)
      }
      ofExchange.set(message.key, found)
    }
    ;({ exchange, key } = message)
    method = found
    return found
  }
  /** Flags and values, in the order of the protocol. */
  const putProperties = (given: Properties, from: number): number => {
    const { contentType, headers, priority, correlationId, replyTo, expiration, messageId, timestamp } = given
    let flags = 0x1000 // delivery-mode
    let at = from + 2
    if (contentType !== undefined) {
      flags |= 0x8000
      at = putShort('content type', contentType, at)
    }
    if (headers !== undefined) {
      flags |= 0x2000
      at = putTable(headers, at)
    }
    bytes[at++] = 2 // persistent
    if (priority !== undefined) {
      flags |= 0x0800
      bytes[at++] = priority
    }
    if (correlationId !== undefined) {
      flags |= 0x0400
      at = putShort('correlation id', correlationId, at)
    }
    if (replyTo !== undefined) {
      flags |= 0x0200
      at = putShort('reply address', replyTo, at)
    }
    if (expiration !== undefined) {
      flags |= 0x0100
      at = putShort('expiration', String(expiration), at)
    }
    if (messageId !== undefined) {
      flags |= 0x0080
      at = putShort('id', messageId, at)
    }
    if (timestamp !== undefined) {
      flags |= 0x0040
      put32(Math.floor(timestamp / 0x1_0000_0000), at)
      put32(timestamp % 0x1_0000_0000, at + 4)
      at += 8
    }
    bytes[from] = flags >>> 8
    bytes[from + 1] = flags
    return at
  }
  const putBody = (body: Uint8Array, from: number): number => {
    const most = frameMax - frameBytes
    let at = from
    end = from
    room(from + body.length + frameBytes * Math.ceil(body.length / most))
    for (let offset = 0; offset < body.length; offset += most) {
      const part = body.length <= most ? body : body.subarray(offset, offset + most)
      bytes[at] = bodyFrame
      bytes[at + 1] = channel >>> 8
      bytes[at + 2] = channel
      put32(part.length, at + 3)
      bytes.set(part, at + 7)
      at += 7 + part.length
      bytes[at++] = frameEnd
    }
    return at
  }

  return {
    add(message) {
      const before = end
      try {
        const start = message.exchange === exchange && message.key === key ? method : methodFor(message)
        room(end + start.length + fixedBytes)
        bytes.set(start, end)
        // The last of it is the size of the body, and before it class, weight and the size of this frame.
        const payload = end + start.length - 12
        put32(message.body.length, payload + 8)
        const at = putProperties(message.properties, payload + 12)
        if (at - payload + frameBytes > frameMax) throw new RangeError(`its headers do not fit into ${frameMax} bytes`)
        put32(at - payload, payload - 4)
        bytes[at] = frameEnd
        end = putBody(message.body, at + 1)
      } catch (error) {
        end = before
        throw error
      }
    },
    get size() {
      return end
    },
    take() {
      const taken = Buffer.allocUnsafe(end)
      bytes.copy(taken, 0, 0, end)
      end = 0
      if (bytes.length > restingBytes) bytes = Buffer.allocUnsafeSlow(4_096)
      return taken
    },
  }
}

/** The method frame of a publish, and the frame of its properties as far as the size of the body. */
function methodOf(channel: number, exchange: string, key: string): Uint8Array {
  const [where, by] = [Buffer.from(exchange), Buffer.from(key)]
  if (where.length > 255 || by.length > 255)
    throw new TypeError(
      `its exchange and routing key may have 255 bytes each and have ${where.length} and ${by.length}`,
    )
  const size = 9 + where.length + by.length
  const bytes = Buffer.alloc(frameBytes + size + 7 + 12)
  const start = (type: number, at: number): number => bytes.writeUInt16BE(channel, bytes.writeUInt8(type, at))
  let at = bytes.writeUInt32BE(size, start(methodFrame, 0))
  at = bytes.writeUInt16BE(40, bytes.writeUInt16BE(60, at)) + 2
  at += where.copy(bytes, bytes.writeUInt8(where.length, at)) + 1
  at += by.copy(bytes, bytes.writeUInt8(by.length, at)) + 1
  at = bytes.writeUInt8(frameEnd, bytes.writeUInt8(1, at)) // mandatory
  at = start(headerFrame, at) + 4
  bytes.writeUInt16BE(60, at)
  return bytes
}
