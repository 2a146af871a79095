// Publishing with confirms: a ring of slots and one promise per batch, none per message.
import { MessagingError, type SendResult } from '@posthorn/core/driver'
import type { ConfirmChannel, Message } from 'amqplib'
import { aborted, gone, translated } from './errors.ts'
import type { Outgoing } from './frames.ts'
import { outletOf } from './outlet.ts'

/** A confirm channel that answers for each message. */
export interface Publisher {
  /** One result per message, in order. Never rejects; settles at once on an abort. */
  publish(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly SendResult[]>
  /** Nothing is written while the broker has no room; told by the connection. */
  block(reason: string | undefined): void
  readonly dead: boolean
}

/** A batch under way. */
interface Run {
  readonly batch: readonly Outgoing[]
  readonly results: (SendResult | undefined)[]
  /** How many were written so far; the rest waits. */
  written: number
  /** How many have no result yet; 0: it was answered. */
  open: number
  readonly answer: () => void
}

/** Most messages written and not confirmed; a power of two. */
const ring = 4_096
const held: SendResult = Object.freeze({ ok: true, position: undefined })

/** What a publisher tells when the broker closes its channel. */
export interface Told {
  /** A message was longer than this. */
  tooLong(limit: number): void
  /** This exchange may not be written to, or is not there. */
  refused(exchange: string): void
}

/** Publishes on a fresh confirm channel, which nobody else uses. */
export function publisherOn(channel: ConfirmChannel, told: Told): Publisher {
  const runs = new Array<Run | undefined>(ring).fill(undefined)
  const places = new Uint32Array(ring)
  /** Delivery tags from 1 on: the lowest that is unconfirmed, and the next to be given. */
  let low = 1
  let next = 1
  /** Runs that are not fully written, oldest first: what comes later waits behind them. */
  const stalled: Run[] = []
  let full = false
  let blocked: string | undefined
  let dead = false
  let why: unknown
  /** Messages that came back since; the broker confirms them all the same, afterwards. */
  const returned = new Map<string, number>()

  const settle = (run: Run, place: number, result: SendResult): void => {
    if (run.results[place] !== undefined) return
    run.results[place] = result
    if (--run.open === 0) run.answer()
  }
  const confirm = (tag: number, refused: boolean): void => {
    const slot = tag & (ring - 1)
    const run = runs[slot]
    if (run === undefined) return
    runs[slot] = undefined
    const place = places[slot] as number
    const message = run.batch[place] as Outgoing
    settle(
      run,
      place,
      returned.size > 0 && cameBack(message) ? unroutable(message) : refused ? overfull(message) : held,
    )
  }
  const confirms = (refused: boolean) => (fields: { deliveryTag: number; multiple: boolean }) => {
    const { deliveryTag, multiple } = fields
    if (multiple) for (; low <= deliveryTag; low++) confirm(low, refused)
    else confirm(deliveryTag, refused)
    while (low < next && runs[low & (ring - 1)] === undefined) low++
    if (stalled.length > 0) resume()
  }
  const cameBack = ({ exchange, key, id }: Outgoing): boolean => {
    const name = nameOf(exchange, key, id)
    const count = returned.get(name)
    if (count === undefined) return false
    if (count === 1) returned.delete(name)
    else returned.set(name, count - 1)
    return true
  }
  /** Writes what it may of a run; whether all of it is written. `flush` lets it go. */
  const write = (run: Run): boolean => {
    while (run.written < run.batch.length) {
      if (run.open === 0) return true
      if (full || blocked !== undefined || next - low >= ring) return false
      const place = run.written++
      const message = run.batch[place] as Outgoing
      if (message.fate === 'withdrawn') {
        settle(run, place, { ok: false, error: takenBack(message) })
        continue
      }
      try {
        full = !outlet.write(message)
        message.fate = 'written'
        const slot = next++ & (ring - 1)
        runs[slot] = run
        places[slot] = place
      } catch (error) {
        if (dead || !(error instanceof RangeError || error instanceof TypeError)) {
          run.written--
          die()
          fail(run, (each, written) => lost(each, written, why, undefined))
          return true
        }
        settle(run, place, { ok: false, error: unwritable(message, error) })
      }
    }
    return true
  }
  const flush = (): void => {
    if (!dead && !outlet.flush()) full = true
  }
  const resume = (): void => {
    while (stalled.length > 0 && write(stalled[0] as Run)) stalled.shift()
    flush()
  }
  const die = (): void => {
    if (dead) return
    dead = true
    const limit = limitIn(why)
    if (limit !== undefined) told.tooLong(limit)
    const exchange = blamedIn(why)
    if (exchange !== undefined) told.refused(exchange)
    const under = new Set<Run>(stalled)
    for (; low < next; low++) {
      const run = runs[low & (ring - 1)]
      if (run !== undefined) under.add(run)
    }
    stalled.length = 0
    for (const run of under) fail(run, (message, written) => lost(message, written, why, limit))
  }
  channel.on('ack', confirms(false))
  channel.on('nack', confirms(true))
  channel.on('return', ({ fields, properties }: Message) => {
    const name = nameOf(
      fields.exchange,
      fields.routingKey,
      String(properties.messageId ?? properties.headers?.['ph-id']),
    )
    returned.set(name, (returned.get(name) ?? 0) + 1)
  })
  const outlet = outletOf(channel, () => {
    full = false
    resume()
  })
  channel.on('error', (error) => {
    why = error
  })
  channel.on('close', die)

  return {
    publish(batch, signal) {
      if (batch.length === 0) return Promise.resolve([])
      return new Promise((resolve) => {
        const results: (SendResult | undefined)[] = new Array(batch.length)
        const run: Run = {
          batch,
          results,
          written: 0,
          open: batch.length,
          answer: () => {
            signal.removeEventListener('abort', stop)
            resolve(results as SendResult[])
          },
        }
        const stop = (): void =>
          fail(run, ({ id }, written) => aborted(`the send of ${id}`, signal, written ? 'unknown' : 'failed'))
        if (signal.aborted) return stop()
        if (dead) return fail(run, (message) => lost(message, false, why, undefined))
        signal.addEventListener('abort', stop, { once: true })
        if (stalled.length > 0 || !write(run)) stalled.push(run)
        flush()
      })
    },
    block(reason) {
      blocked = reason
      if (reason === undefined) resume()
    },
    get dead() {
      return dead
    },
  }

  /** Answers what has no answer yet. */
  function fail(run: Run, errorOf: (message: Outgoing, written: boolean) => MessagingError): void {
    for (let place = 0; run.open > 0 && place < run.batch.length; place++) {
      if (run.results[place] !== undefined) continue
      settle(run, place, { ok: false, error: errorOf(run.batch[place] as Outgoing, place < run.written) })
    }
  }
}

const nameOf = (exchange: string, key: string, id: string): string => `${exchange}\n${key}\n${id}`

function unroutable({ id, exchange, key }: Outgoing): SendResult {
  const where = exchange === '' ? `queue ${key}` : `exchange ${exchange} with routing key ${key}`
  return {
    ok: false,
    error: new MessagingError(
      'unroutable',
      `message ${id} reached no group: nothing is bound to ${where}. Name the groups in topic(name, { groups }), so that producers declare their queues, or start a consumer first; who reads by broadcast or pattern is no group, so a topic that only those read needs one that somebody reads, if only to drop what comes`,
    ),
  }
}

function overfull({ id, key }: Outgoing): SendResult {
  return {
    ok: false,
    error: new MessagingError(
      'throttled',
      `RabbitMQ refused message ${id} (routing key ${key}): a queue is at its length limit, or was not available`,
      // Of several queues others may have it.
      { outcome: 'unknown' },
    ),
  }
}

/** What a send says of a message that was withdrawn; nobody hears it. */
function takenBack({ id }: Pick<Outgoing, 'id'>): MessagingError {
  return new MessagingError('aborted', `message ${id} was taken back before it was written`)
}

function unwritable({ id }: Outgoing, cause: Error): MessagingError {
  return new MessagingError(
    cause instanceof RangeError ? 'too-large' : 'invalid',
    `message ${id} does not fit into AMQP: ${cause.message}; all headers together may have 64 KiB`,
    { cause },
  )
}

function lost(message: Outgoing, written: boolean, why: unknown, limit: number | undefined): MessagingError {
  const { id, body } = message
  if (limit !== undefined && body.byteLength > limit) return overLimit(id, body.byteLength, limit)
  const about = `the send of ${id}`
  const outcome = written ? 'unknown' : 'failed'
  if (why === undefined || limit !== undefined) return gone(about, why, outcome)
  const error = translated(why, about, outcome)
  if (error.retryable) return error
  // The channel is shared: who else was on it has done nothing wrong.
  if (message.exchange !== blamedIn(why)) return gone(about, error, outcome)
  return error.code === 'unauthorized'
    ? error
    : new MessagingError('unavailable', error.message, { cause: why, outcome })
}

/** The broker has a limit of its own for the size of a message. */
export function overLimit(id: string, bytes: number, limit: number): MessagingError {
  return new MessagingError(
    'too-large',
    `message ${id} has ${bytes} bytes and this broker takes ${limit}; send a reference to it, or raise max_message_size`,
  )
}

/** What the broker says when a message is larger than it is configured for. */
function limitIn(why: unknown): number | undefined {
  const found = /larger than (?:configured )?max size (\d+)/.exec(why instanceof Error ? why.message : '')
  return found === null ? undefined : Number(found[1])
}

/** The exchange that the broker names as why it closed a channel. */
function blamedIn(why: unknown): string | undefined {
  const name = /exchange '(.*)' in vhost/s.exec(why instanceof Error ? why.message : '')?.[1]
  return name === 'amq.default' ? '' : name
}
