import type { Clock, DriverLag, Letter, Shelf, ShelvedLetter } from '@posthorn/core/driver'
import { decodeHeaders, wireNames } from '@posthorn/core/driver'
import type { Channel, Message } from 'amqplib'
import type { Link } from './connection.ts'
import { arrivalOf } from './convert.ts'
import { aborted } from './errors.ts'
import { type Entry, lookThrough, takeOut } from './looking.ts'
import type { Names } from './names.ts'
import { establish, onChannel } from './topology.ts'

/** What a shelf lies in. */
export interface ShelfPlace {
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  readonly topic: string
  readonly group: string | undefined
}

/** A shelf of dead letters: a queue that nobody consumes, looked through and left as it was. */
export function shelfIn(place: ShelfPlace): Shelf {
  const { link, clock, names, topic, group } = place
  const queue = names.shelf(topic, group)
  const about = `the dead letters of ${topic}${group === undefined ? '' : ` for group ${group}`}`
  return {
    async *list(signal) {
      if (signal.aborted) throw aborted(about, signal)
      const shelf = { do: 'queue', name: queue, args: {} } as const
      await onChannel(link, clock, about, signal, (channel) => establish(channel, [shelf], 'check', about))
      for await (const entry of lookThrough({ link, clock, queue, about }, signal)) {
        const found = letterIn(entry.message, place, entry)
        if (found !== undefined) yield found
      }
    },
    async remove(tokens, signal) {
      if (signal.aborted) throw aborted(about, signal)
      await takeOut(tokens as readonly Entry[], queue)
    },
  }
}

/** A message as a letter; undefined where it is another topic's, in the shelf that all topics share. */
function letterIn(message: Message, { names, topic, group }: ShelfPlace, token: unknown): ShelvedLetter | undefined {
  const from = group === undefined ? undefined : topic
  const arrival = arrivalOf(message, { names, topic: from, token, counted: false, mapped: false })
  if (arrival.topic !== topic) return undefined
  const letter = ownLetter(message) ?? brokersLetter(message, arrival.failures)
  return { token, message: arrival, letter, group }
}

function ownLetter({ properties }: Message): Letter | undefined {
  const text: unknown = properties.headers?.['ph-letter']
  return typeof text === 'string' ? decodeHeaders({ [wireNames.letter]: text }).letter : undefined
}

/** What the broker itself took out of a queue, with its cause. */
function brokersLetter({ properties }: Message, attempts: number): Letter {
  const deaths: unknown = properties.headers?.['x-death']
  const last = (Array.isArray(deaths) ? deaths : []).find(
    (each: { readonly queue?: unknown }) => !/(?:^|:)~delay\.\d+$/.test(String(each?.queue)),
  ) as { readonly reason?: unknown; readonly time?: { readonly value?: unknown } } | undefined
  const seconds = last?.time?.value
  const at = typeof seconds === 'number' ? seconds * 1_000 : 0
  if (last === undefined)
    return { reason: 'unroutable', error: 'no group was there when its delay was over', attempts, at }
  const reason = ({ expired: 'expired', maxlen: 'overflow', delivery_limit: 'poison' } as const)[String(last.reason)]
  return { reason: reason ?? 'rejected', error: `the broker took it out: ${String(last.reason)}`, attempts, at }
}

/** What waits in queues that nobody has to consume. Without what is out for delivery: the broker does not tell that by AMQP. */
export async function backlogOf(channel: Channel, queues: readonly string[]): Promise<DriverLag> {
  let backlog = 0
  for (const queue of queues) backlog += (await channel.checkQueue(queue)).messageCount
  return { backlog, oldestMs: undefined, lostInMs: undefined }
}
