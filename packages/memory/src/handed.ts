import { type Arrival, type Failure, Loss } from '@posthorn/core/driver'
import type { Member } from './group.ts'
import type { Item } from './lane.ts'
import type { Entry } from './topic.ts'

/** A message in somebody's hands; its own token. A class, because one is made per delivery. */
export class Handed implements Arrival {
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
  readonly token: Handed
  readonly deliveryCount: number | undefined
  readonly position: string
  readonly fence: bigint | undefined
  readonly foreign = false
  readonly lost = new Loss()
  readonly item: Item | undefined
  readonly member: Member | undefined
  /** Epoch ms at which the lease ends. */
  leasedUntil: number

  constructor(entry: Entry, item: Item | undefined, member: Member | undefined, leasedUntil: number) {
    const { message } = entry
    this.id = message.id
    this.topic = message.topic
    this.key = message.key
    this.tag = message.tag
    this.headers = message.headers
    this.body = message.body
    this.contentType = message.contentType
    this.sentAt = message.sentAt
    this.expiresAt = message.expiresAt
    this.priority = message.priority
    this.version = message.version
    this.generation = message.generation
    this.failures = item?.failures ?? message.failures
    this.history = item?.history ?? message.history
    this.lone = item?.lone ?? message.lone
    this.replyTo = message.replyTo
    this.correlationId = message.correlationId
    this.token = this
    this.deliveryCount = item?.deliveries
    this.position = entry.seq.toString()
    this.fence = item === undefined ? undefined : (item.lane?.fence ?? small(item.hands))
    this.item = item
    this.member = member
    this.leasedUntil = leasedUntil
  }
}

const fences: readonly bigint[] = Array.from({ length: 32 }, (_, n) => BigInt(n))

function small(n: number): bigint {
  return fences[n] ?? BigInt(n)
}
