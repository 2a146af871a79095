import type { SendResult } from '@posthorn/core/driver'
import type { Channel } from 'amqplib'
import { overLimit, type Publisher, publisherOn, type Told } from './confirms.ts'
import type { Link } from './connection.ts'
import { aborted, translated } from './errors.ts'
import type { Outgoing } from './frames.ts'
import { apart } from './placing.ts'

/** The sending half of a driver: one confirm channel, and another for what the broker has closed one for. */
export interface Sender {
  /** One result per message, in order. Never rejects. */
  send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly SendResult[]>
  /** Publishes without a confirm and without complaint: what is lost is said again soon. */
  say(exchange: string, member: string, word: string): void
  /** The broker has no room, or has again. */
  block(reason: string | undefined): void
}

/** A sender on a link, for bodies of at most `maxBytes`, or less where the broker says so. */
export function senderOn(link: Link, maxBytes: number): Sender {
  let talk: Promise<Channel> | undefined
  let limit = maxBytes
  /** Exchanges that a channel was closed for, and that have taken nothing since. */
  const suspects = new Set<string>()
  const told: Told = {
    tooLong(most) {
      limit = Math.min(limit, most)
    },
    refused: (exchange) => void suspects.add(exchange),
  }
  const common = channelFor(link, told)
  /** What goes to a suspect closes no channel but this. */
  const apartFromOthers = channelFor(link, told)

  const onSuspicion = async (batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly SendResult[]> => {
    const results = await (await unlessAborted(apartFromOthers.ready(), signal)).publish(batch, signal)
    for (const [i, { exchange }] of batch.entries()) {
      const result = results[i]
      if (result?.ok === true || result?.error.code === 'unroutable') suspects.delete(exchange)
    }
    return results
  }
  const through = async (batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly SendResult[]> => {
    const suspected = ({ exchange }: Outgoing): boolean => suspects.has(exchange)
    if (suspects.size === 0 || !batch.some(suspected))
      return (await unlessAborted(common.ready(), signal)).publish(batch, signal)
    if (batch.every(suspected)) return onSuspicion(batch, signal)
    return apart(batch, suspected, (part) => through(part, signal))
  }
  const publish = async (batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly SendResult[]> => {
    if (batch.every(({ body }) => body.byteLength <= limit)) return through(batch, signal)
    const fit = batch.filter(({ body }) => body.byteLength <= limit)
    const results = fit.length === 0 ? [] : await publish(fit, signal)
    let next = 0
    return batch.map(({ id, body }) =>
      body.byteLength <= limit
        ? (results[next++] as SendResult)
        : { ok: false, error: overLimit(id, body.byteLength, limit) },
    )
  }
  return {
    async send(batch, signal) {
      try {
        return await publish(batch, signal)
      } catch (cause) {
        const error = translated(cause, 'sending')
        return batch.map(() => ({ ok: false, error }))
      }
    },
    say(exchange, member, word) {
      const say = async (): Promise<void> => {
        talk ??= talkOn(link, () => {
          talk = undefined
        })
        ;(await talk).publish(exchange, '', Buffer.alloc(0), { messageId: member, type: word })
      }
      say().catch(() => {
        talk = undefined
      })
    },
    block(reason) {
      common.block(reason)
      apartFromOthers.block(reason)
    },
  }
}

/** A confirm channel that is opened when it is needed, and made again when it is gone. */
interface Opened {
  ready(): Publisher | Promise<Publisher>
  block(reason: string | undefined): void
}

function channelFor(link: Link, told: Told): Opened {
  let publisher: Publisher | undefined
  let opening: Promise<Publisher> | undefined
  const open = async (): Promise<Publisher> => {
    const model = await link.model()
    const channel = await model.createConfirmChannel().catch((error: unknown) => {
      throw translated(error, 'opening a channel to send on')
    })
    publisher = publisherOn(channel, told)
    publisher.block(link.blocked)
    return publisher
  }
  return {
    ready() {
      if (publisher !== undefined && !publisher.dead) return publisher
      if (opening === undefined) {
        opening = open().finally(() => {
          opening = undefined
        })
        // Who waits for it may have given up.
        opening.catch(() => {})
      }
      return opening
    },
    block: (reason) => publisher?.block(reason),
  }
}

async function talkOn(link: Link, ended: () => void): Promise<Channel> {
  const channel = await (await link.model()).createChannel()
  channel.on('error', () => {})
  channel.on('close', ended)
  return channel
}

/** Waits for something that others wait for, too, as long as the signal allows. */
function unlessAborted<T>(value: T | Promise<T>, signal: AbortSignal): T | Promise<T> {
  if (!(value instanceof Promise)) return value
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(aborted('the send', signal))
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    value.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
