import {
  type Arrival,
  type Dispatch,
  decodePairs,
  encodeHeaders,
  type Letter,
  type Loss,
  type WireField,
  wireNames,
} from '@posthorn/core/driver'
import type { KafkaRecord, StoredRecord } from './clients/port.ts'

/** Kafka's own places: the record's key and its timestamp. */
const keyAndTime: ReadonlySet<WireField> = new Set(['key', 'sentAt'])
const keyOnly: ReadonlySet<WireField> = new Set(['key'])
const timeOnly: ReadonlySet<WireField> = new Set(['sentAt'])
const none: ReadonlySet<WireField> = new Set()

/** How far `sentAt` may be from now to serve as the record's timestamp, by which Kafka deletes, replays and seeks. */
const nearMs = 20

/**
 * The record of a message. An empty time in the headers says that there is none. An old message that is published again (a redrive, a late relay) gets today's timestamp, or retention could take
 * it at once; then its own time goes into a header. `key` replaces the record's key, and the message's goes into a header.
 */
export function recordOf(message: Dispatch, now: number, key?: string): KafkaRecord {
  const near = message.sentAt !== undefined && Math.abs(message.sentAt - now) < nearMs
  const native = key === undefined ? (near ? keyAndTime : keyOnly) : near ? timeOnly : none
  const recordKey = key ?? message.key
  const headers = encodeHeaders(message, native)
  return {
    key: recordKey === undefined ? null : Buffer.from(recordKey, 'utf8'),
    value: message.body,
    headers: message.sentAt === undefined ? { ...headers, [wireNames.sentAt]: '' } : headers,
    timestamp: near ? (message.sentAt as number) : now,
  }
}

/** Where a record lies, in our words. */
export interface Place {
  /** Our name of the topic. */
  readonly topic: string
  readonly kafkaTopic: string
  readonly partition: number
}

/** What a position reads like: partition and offset, before them the topic where several are read. */
export function positionOf({ partition }: Pick<Place, 'partition'>, offset: number): string {
  return `${partition}:${offset}`
}

/** The partition and offset of a position; undefined where it is not one of ours. */
export function parsePosition(position: string): { readonly partition: number; readonly offset: number } | undefined {
  const match = /^(\d{1,9}):(\d{1,16})$/.exec(position)
  return match === null ? undefined : { partition: Number(match[1]), offset: Number(match[2]) }
}

function text(value: Uint8Array): string {
  const buffer = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return buffer.toString('utf8')
}

/** What only the source knows of a delivery. */
export interface Handing {
  readonly token: unknown
  readonly deliveryCount: number | undefined
  readonly lost: Loss | undefined
  readonly fence: bigint | undefined
}
const unhanded: Handing = { token: undefined, deliveryCount: undefined, lost: undefined, fence: undefined }

/** A record as the seam wants it; `ownKey`: the record's key is ours, the message's is in a header. */
export function arrivalOf(
  record: StoredRecord,
  place: Place,
  handing: Handing = unhanded,
  ownKey = false,
): Arrival & {
  readonly group: string | undefined
  readonly notBefore: number | undefined
  readonly letter: Letter | undefined
} {
  const raw = record.headers
  const decoded = decodePairs(raw)
  const foreign = decoded.id === undefined
  return {
    id: decoded.id ?? `${place.kafkaTopic}/${place.partition}/${record.offset}@${record.timestamp}`,
    topic: place.topic,
    key: ownKey || has(raw, wireNames.key) ? decoded.key : record.key === null ? undefined : text(record.key),
    tag: decoded.tag,
    headers: decoded.headers,
    body: record.value ?? new Uint8Array(),
    contentType: decoded.contentType,
    sentAt: has(raw, wireNames.sentAt) || record.timestamp < 0 ? decoded.sentAt : record.timestamp,
    expiresAt: decoded.expiresAt,
    priority: decoded.priority,
    version: decoded.version,
    generation: decoded.generation,
    failures: decoded.failures,
    history: decoded.history,
    lone: decoded.lone,
    replyTo: decoded.replyTo,
    correlationId: decoded.correlationId,
    group: decoded.group,
    notBefore: decoded.notBefore,
    letter: decoded.letter,
    position: positionOf(place, record.offset),
    foreign,
    token: handing.token,
    deliveryCount: handing.deliveryCount,
    lost: handing.lost,
    fence: handing.fence,
  }
}

function has(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true
  return false
}
