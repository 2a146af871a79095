import type { SQLInputValue, SQLOutputValue } from 'node:sqlite'
import {
  type Arrival,
  type Dispatch,
  decodeHeaders,
  encodeHeaders,
  type Failure,
  Loss,
  MessagingError,
  type WireField,
} from '@posthorn/core/driver'
import type { Row } from './sql.ts'

/** The columns that make a message, in the order of `valuesOf`. */
export const messageColumns = 'id, key, tag, body, type, sent, head'
/** The columns that make a `Delivery`, in this order. */
export const deliveryColumns = `seq, grp, ${messageColumns}`

/** The values of `deliveryColumns`. */
export type MessageRow = readonly SQLOutputValue[]
/** Where in it they stand. */
export const at = { seq: 0, grp: 1, id: 2, key: 3, tag: 4, body: 5, type: 6, sent: 7, head: 8 } as const

const usual = 'application/json'
const native: ReadonlySet<WireField> = new Set(['id', 'key', 'tag', 'contentType', 'sentAt', 'group', 'notBefore'])
/** In rows that stand alone (held messages) group and due time belong to the message. */
const nativeHeld: ReadonlySet<WireField> = new Set(['id', 'key', 'tag', 'contentType', 'sentAt'])
const partitionName = 'ph-partition'

/** A message as values of `messageColumns`; `alone`: with its group and its due time. */
export function valuesOf(message: Dispatch, alone = false): SQLInputValue[] {
  return [
    message.id,
    message.key ?? null,
    message.tag ?? null,
    message.body,
    typeColumn(message.contentType),
    message.sentAt ?? null,
    headColumn(message, alone),
  ]
}

/** A content type as `type`. */
export function typeColumn(contentType: string | undefined): string | null {
  return contentType === usual ? null : (contentType ?? '')
}

/** Headers and rare fields as `head`. */
export function headColumn(message: Dispatch, alone = false): string | null {
  return plain(message, alone) ? null : headOf(message, alone)
}

/** Whether nothing but the columns is set: nearly always, and then no JSON is made or read. */
function plain(message: Dispatch, alone: boolean): boolean {
  if (
    message.expiresAt !== undefined ||
    message.priority !== undefined ||
    message.version !== undefined ||
    message.generation !== 0 ||
    message.failures !== 0 ||
    message.lone !== 0 ||
    message.replyTo !== undefined ||
    message.correlationId !== undefined ||
    message.letter !== undefined ||
    message.partition !== undefined ||
    message.history.length > 0 ||
    (alone && (message.group !== undefined || message.notBefore !== undefined))
  )
    return false
  for (const _ in message.headers) return false
  return true
}

function headOf(message: Dispatch, alone: boolean): string {
  const headers = encodeHeaders(message, alone ? nativeHeld : native)
  if (message.partition !== undefined) headers[partitionName] = message.partition.toString()
  return JSON.stringify(headers)
}

const nothing: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>)
const never: readonly Failure[] = Object.freeze([])
const plainHead = {
  headers: nothing,
  expiresAt: undefined,
  priority: undefined,
  version: undefined,
  generation: 0,
  failures: 0,
  history: never,
  lone: 0,
  replyTo: undefined,
  correlationId: undefined,
  group: undefined,
  notBefore: undefined,
  letter: undefined,
} as const

/** What `head` says. */
export function headFrom(
  head: unknown,
): ReturnType<typeof decodeHeaders> | (typeof plainHead & { readonly partition?: undefined }) {
  return head === null ? plainHead : decodeHeaders(JSON.parse(head as string) as Record<string, string>)
}

/** A message of its own, with group, due time, partition and letter as they were given. */
export function dispatchFrom(row: Row, topic: string): Dispatch {
  const head = row['head']
  const raw = head === null ? undefined : (JSON.parse(head as string) as Record<string, string>)
  const partition = raw?.[partitionName]
  return {
    ...(raw === undefined ? plainHead : decodeHeaders(raw)),
    id: row['id'] as string,
    topic,
    key: (row['key'] as string | null) ?? undefined,
    tag: (row['tag'] as string | null) ?? undefined,
    body: bodyFrom(row['body']),
    contentType: typeFrom(row['type']),
    sentAt: (row['sent'] as number | null) ?? undefined,
    partition: partition === undefined ? undefined : Number(partition),
  }
}

/** `type` as a content type. */
function typeFrom(type: unknown): string | undefined {
  return type === null ? usual : type === '' ? undefined : (type as string)
}

/** Node 22 reads a blob without bytes as NULL. */
function bodyFrom(body: unknown): Uint8Array {
  return (body as Uint8Array | null) ?? new Uint8Array(0)
}

/** What a group keeps of a message that it did not settle yet; null: as the message has it. */
export interface Progress {
  readonly starts: number
  readonly failures: number | null
  readonly history: string | null
  readonly lone: number | null
}

/** What one claim took, which is lost together. */
export class Lease {
  readonly claim: number
  readonly fence: bigint
  readonly lost = new Loss()

  constructor(claim: number) {
    this.claim = claim
    this.fence = BigInt(claim)
  }

  /** Its deliveries are no longer this member's. */
  lose(): void {
    this.lost.lose(new MessagingError('stale', 'the delivery was taken back: its lease ended, or the group was moved'))
  }
}

/** A message in somebody's hands, or shown; its own token. A class, because one is made per delivery. */
export class Delivery implements Arrival {
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly tag: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly contentType: string | undefined
  readonly sentAt: number | undefined
  readonly expiresAt: number | undefined
  readonly priority: number | undefined
  readonly version: number | undefined
  readonly generation: number
  readonly failures: number
  readonly history: readonly Failure[]
  readonly lone: number
  readonly replyTo: string | undefined
  readonly correlationId: string | undefined
  readonly token: Delivery
  readonly deliveryCount: number | undefined
  readonly position: string
  readonly fence: bigint | undefined
  readonly foreign = false
  /** The message's `seq`; with `claim` it names this hand-over. */
  readonly ord: number
  readonly claim: number
  /** Undefined where it is only shown. */
  readonly lease: Lease | undefined
  readonly lane: string | undefined
  /** A copy to one group: gone from the log once it is settled. */
  readonly copy: boolean
  /** Epoch ms at which the lease ends. */
  until = 0
  /** A settlement of it is under way, or was. */
  settling = false
  /** That settlement is the first, and nobody took the delivery back before. */
  sure = false
  /** It started alone. */
  marked = false

  constructor(
    row: MessageRow,
    topic: string,
    place: number,
    lease?: Lease,
    lane?: string | undefined,
    progress?: Progress,
  ) {
    const head = headFrom(row[at.head])
    this.id = row[at.id] as string
    this.topic = topic
    this.key = (row[at.key] as string | null) ?? undefined
    this.tag = (row[at.tag] as string | null) ?? undefined
    this.headers = head.headers
    this.body = bodyFrom(row[at.body])
    this.contentType = typeFrom(row[at.type])
    this.sentAt = (row[at.sent] as number | null) ?? undefined
    this.expiresAt = head.expiresAt
    this.priority = head.priority
    this.version = head.version
    this.generation = head.generation
    this.failures = progress?.failures ?? head.failures
    this.history = progress?.history == null ? head.history : (JSON.parse(progress.history) as readonly Failure[])
    this.lone = progress?.lone ?? head.lone
    this.replyTo = head.replyTo
    this.correlationId = head.correlationId
    this.token = this
    this.deliveryCount = progress?.starts
    this.position = place.toString()
    this.fence = lease?.fence
    this.ord = row[at.seq] as number
    this.claim = lease?.claim ?? 0
    this.lease = lease
    this.lane = lane
    this.copy = row[at.grp] != null
  }

  get lost(): Loss | undefined {
    return this.lease?.lost
  }
}
