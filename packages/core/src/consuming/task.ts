import type { Arrival, Failure } from '../driver/envelope.ts'
import { MessagingError } from '../errors.ts'
import type { Delivery } from '../face/handling.ts'
import type { Producer } from '../face/sending.ts'
import type { LaneItem } from './lanes.ts'
import type { Session } from './session.ts'

/** One delivery on its way through a consumer: what has happened to it so far. */
export class Task implements LaneItem {
  readonly arrival: Arrival
  readonly session: Session
  readonly lane: string | undefined
  /** From the sixth delivery a message runs alone, so that what kills the process is found and its neighbours are spared. */
  readonly alone: boolean
  failures: number
  history: readonly Failure[]
  /** Starts of the handler in this process. */
  starts = 0
  over = false
  #abort: AbortController | undefined
  #reason: unknown

  constructor(arrival: Arrival, session: Session, lane: string | undefined, alone: boolean) {
    this.arrival = arrival
    this.session = session
    this.lane = lane
    this.alone = alone
    this.failures = arrival.failures
    this.history = arrival.history
  }

  /** 1 on the first start: what the broker counted durably, or what failed before, and what was started here. */
  attempt(counts: boolean): number {
    const durable = counts ? (this.arrival.deliveryCount ?? 1) : 1
    return Math.max(durable + this.starts - 1, this.failures + 1)
  }

  /** Made when somebody asks: most handlers never do. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#reason !== undefined) this.#abort.abort(this.#reason)
    }
    return this.#abort.signal
  }

  get aborted(): boolean {
    return this.#reason !== undefined
  }

  abort(reason: unknown): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#abort?.abort(reason)
  }
}

const taskKey = Symbol('task')

/** What came over the seam, of a delivery or of a copy that a middleware made of it. */
export function arrivalOf(delivery: Delivery): Arrival | undefined {
  return (delivery as { readonly [taskKey]?: Task })[taskKey]?.arrival
}

/** The same on every delivery: an accessor of its own in each object literal would cost three times the rest. */
const signal: PropertyDescriptor & ThisType<Handed> = {
  get() {
    return this[taskKey].signal
  },
  enumerable: true,
  configurable: true,
}

/** What a handler sees. Own properties, so that `{ ...delivery }` keeps them; the signal is made when it is read. */
class Handed implements Omit<Delivery, 'signal'> {
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
  readonly tx = undefined
  readonly producer: Producer
  readonly replay: boolean
  readonly [taskKey]: Task

  constructor(task: Task, body: unknown, group: string, attempt: number, replay: boolean, producer: Producer) {
    const { arrival } = task
    this.body = body
    this.id = arrival.id
    this.key = arrival.key
    this.tag = arrival.tag
    this.headers = arrival.headers
    this.topic = arrival.topic
    this.group = group
    this.attempt = attempt
    this.deliveryCount = arrival.deliveryCount
    this.fence = arrival.fence
    this.position = arrival.position
    this.sentAt = arrival.sentAt === undefined ? undefined : new Date(arrival.sentAt)
    this.producer = producer
    this.replay = replay
    this[taskKey] = task
    Object.defineProperty(this, 'signal', signal)
  }
}

/** A task as its handler sees it. */
export function deliveryOf(
  task: Task,
  body: unknown,
  group: string,
  options: { readonly attempt: number; readonly replay: boolean; readonly producer: Producer },
): Delivery {
  return new Handed(task, body, group, options.attempt, options.replay, options.producer) as Handed &
    Pick<Delivery, 'signal'>
}

/** Why a handler's signal aborts when its consumer stops. */
export function stopped(): MessagingError {
  return new MessagingError('aborted', 'the consumer is stopping and its drain time is over')
}
