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

const arrivalKey = Symbol('arrival')

/** What came over the seam, of a delivery or of a copy that a middleware made of it. */
export function arrivalOf(delivery: Delivery): Arrival | undefined {
  return (delivery as { readonly [arrivalKey]?: Arrival })[arrivalKey]
}

/** What a handler sees. Own properties, so that `{ ...delivery }` keeps them; a signal is made when it is read. */
export function deliveryOf(
  task: Task,
  body: unknown,
  group: string,
  options: { readonly attempt: number; readonly replay: boolean; readonly producer: Producer },
): Delivery {
  const { arrival } = task
  return {
    body,
    id: arrival.id,
    key: arrival.key,
    tag: arrival.tag,
    headers: arrival.headers,
    topic: arrival.topic,
    group,
    attempt: options.attempt,
    deliveryCount: arrival.deliveryCount,
    fence: arrival.fence,
    position: arrival.position,
    sentAt: arrival.sentAt === undefined ? undefined : new Date(arrival.sentAt),
    get signal() {
      return task.signal
    },
    tx: undefined,
    producer: options.producer,
    replay: options.replay,
    [arrivalKey]: arrival,
  } as Delivery
}

/** Why a handler's signal aborts when its consumer stops. */
export function stopped(): MessagingError {
  return new MessagingError('aborted', 'the consumer is stopping and its drain time is over')
}
