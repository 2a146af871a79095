import type { ConfirmChannel } from 'amqplib'
import { framesOn, type Outgoing } from './frames.ts'

/** Where the messages of a channel go. */
export interface Outlet {
  /** Throws a RangeError or TypeError where it does not fit into AMQP. False: enough, until it has drained. */
  write(message: Outgoing): boolean
  /** Lets go what was written. False: enough, until it has drained. */
  flush(): boolean
}

/** What is kept back for one call of the system. */
const togetherBytes = 131_072

/** What amqplib has behind a channel; not among what it documents. */
interface Inside {
  readonly ch?: number
  readonly connection?: { readonly frameMax?: number; readonly stream?: NodeJS.WritableStream }
}

/**
 * The outlet of a channel that nobody else uses. amqplib makes several buffers and objects of each message and hands it to the socket
 * in a later turn, each by itself; so whole frames of our own go to its socket, between those that it writes. Where it does not
 * let us see the socket, it publishes.
 */
export function outletOf(channel: ConfirmChannel, drained: () => void): Outlet {
  const { ch, connection } = channel as unknown as Inside
  const { frameMax, stream } = connection ?? {}
  if (ch === undefined || frameMax === undefined || stream === undefined) return publishing(channel, drained)
  const frames = framesOn(ch, frameMax)
  stream.on('drain', drained)
  channel.once('close', () => stream.off('drain', drained))
  const flush = (): boolean => frames.size === 0 || stream.write(frames.take())
  return {
    write(message) {
      frames.add(message)
      return frames.size < togetherBytes || flush()
    },
    flush,
  }
}

function publishing(channel: ConfirmChannel, drained: () => void): Outlet {
  channel.on('drain', drained)
  return {
    write({ exchange, key, body, properties }) {
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
      return channel.publish(exchange, key, bytes, { ...properties, persistent: true, mandatory: true })
    },
    flush: () => true,
  }
}
