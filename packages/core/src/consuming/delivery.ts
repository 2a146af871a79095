// What a handler sees of a task.
import type { Arrival } from '../driver/envelope.ts'
import type { Delivery, ManualDelivery } from '../face/handling.ts'
import type { Producer } from '../face/sending.ts'
import type { Task } from './task.ts'

const taskKey = Symbol('task')
const readerKey = Symbol('reader')
const alsoKey = Symbol('also')
const joinedKey = Symbol('joined')

/** What came over the seam, of a delivery or of a copy that a middleware made of it. */
export function arrivalOf(delivery: Delivery): Arrival | undefined {
  return (delivery as { readonly [taskKey]?: Task })[taskKey]?.arrival
}

/** What is the same for all deliveries of a consumer. */
export interface Reader {
  readonly group: string
  readonly replay: boolean
  /**
   * A middleware of the user's may pass on `{ ...delivery }`, which takes own properties alone: then each delivery has its `signal` as one. That costs as
   * much as all the rest, so that without such middlewares the signal is read through the class.
   */
  readonly copied: boolean
}

/** What a middleware of ours changes of a delivery. */
export interface Change {
  readonly tx?: Delivery['tx']
  readonly fence?: bigint | undefined
  /** The delivery's signal aborts with this one, too. */
  readonly signal?: AbortSignal | undefined
}
const unchanged: Change = { tx: undefined, fence: undefined, signal: undefined }

/** Own properties but for the signal, which is made when it is read. */
class Handed implements Delivery {
  readonly body: unknown
  readonly id: string
  readonly key: string | undefined
  readonly tag: string | undefined
  readonly headers: Delivery['headers']
  readonly topic: string
  readonly group: string
  readonly attempt: number
  readonly deliveryCount: number | undefined
  readonly fence: bigint | undefined
  readonly position: string | undefined
  readonly sentAt: Date | undefined
  readonly tx: Delivery['tx']
  readonly producer: Producer
  readonly replay: boolean
  readonly [taskKey]: Task
  readonly [readerKey]: Reader
  readonly [alsoKey]: readonly AbortSignal[];
  [joinedKey]: AbortSignal | undefined

  constructor(
    task: Task,
    body: unknown,
    reader: Reader,
    producer: Producer,
    change: Change,
    also: readonly AbortSignal[],
  ) {
    const { arrival } = task
    this.body = body
    this.id = arrival.id
    this.key = arrival.key
    this.tag = arrival.tag
    this.headers = arrival.headers
    this.topic = arrival.topic
    this.group = reader.group
    this.attempt = task.attempt
    this.deliveryCount = arrival.deliveryCount
    this.fence = change.fence ?? arrival.fence
    this.position = arrival.position
    this.sentAt = arrival.sentAt === undefined ? undefined : new Date(arrival.sentAt)
    this.tx = change.tx
    this.producer = producer
    this.replay = reader.replay
    this[taskKey] = task
    this[readerKey] = reader
    this[alsoKey] = also
    this[joinedKey] = undefined
    if (reader.copied) Object.defineProperty(this, 'signal', ownSignal)
  }

  get signal(): AbortSignal {
    const { signal } = this[taskKey]
    const also = this[alsoKey]
    if (also.length === 0) return signal
    this[joinedKey] ??= AbortSignal.any([signal, ...also])
    return this[joinedKey]
  }
}

const noSignals: readonly AbortSignal[] = Object.freeze([])
const ownSignal = { ...Object.getOwnPropertyDescriptor(Handed.prototype, 'signal'), enumerable: true }

/** A task as its handler sees it. */
export function deliveryOf(task: Task, body: unknown, reader: Reader, producer: Producer): Delivery {
  return new Handed(task, body, reader, producer, unchanged, noSignals)
}

/** The same with `settle`. */
export function manualDelivery<T>(delivery: Delivery, settle: ManualDelivery<T>['settle']): ManualDelivery<T> {
  return Object.assign(delivery as Delivery<T>, { settle })
}

/** The same delivery with something else; a signal is still made only when it is read. */
export function deliveryWith(delivery: Delivery, change: Change): Delivery {
  if (!(delivery instanceof Handed)) return changedCopy(delivery, change)
  const { [taskKey]: task, [readerKey]: reader, [alsoKey]: also, body, producer } = delivery
  const { tx = delivery.tx, fence = delivery.fence, signal } = change
  return new Handed(task, body, reader, producer, { tx, fence }, signal === undefined ? also : [...also, signal])
}

/** Of a copy that a middleware made: its properties are its own. */
function changedCopy(delivery: Delivery, { signal, ...change }: Change): Delivery {
  const copy = { ...delivery, ...change }
  return signal === undefined ? copy : { ...copy, signal: AbortSignal.any([delivery.signal, signal]) }
}
