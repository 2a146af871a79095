import type { SendResult } from '@posthorn/core/driver'
import type { Channel } from 'amqplib'
import { overLimit, type Publisher, publisherOn } from './confirms.ts'
import type { Link } from './connection.ts'
import { aborted, translated } from './errors.ts'
import type { Outgoing } from './frames.ts'

/** The sending half of a driver: one confirm channel, made again when it is gone. */
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
  let publisher: Publisher | undefined
  let opening: Promise<Publisher> | undefined
  let talk: Promise<Channel> | undefined
  let limit = maxBytes

  const open = async (): Promise<Publisher> => {
    const model = await link.model()
    const channel = await model.createConfirmChannel().catch((error: unknown) => {
      throw translated(error, 'opening a channel to send on')
    })
    const lower = (most: number): void => {
      limit = Math.min(limit, most)
    }
    publisher = publisherOn(channel, lower)
    publisher.block(link.blocked)
    return publisher
  }
  const ready = (): Publisher | Promise<Publisher> => {
    if (publisher !== undefined && !publisher.dead) return publisher
    if (opening === undefined) {
      opening = open().finally(() => {
        opening = undefined
      })
      // Who waits for it may have given up.
      opening.catch(() => {})
    }
    return opening
  }
  const publish = async (batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly SendResult[]> => {
    if (batch.every(({ body }) => body.byteLength <= limit))
      return (await unlessAborted(ready(), signal)).publish(batch, signal)
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
