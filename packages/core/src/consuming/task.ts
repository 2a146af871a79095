import type { Arrival, Failure } from '../driver/envelope.ts'
import type { Settled } from '../driver/seam.ts'
import { MessagingError } from '../errors.ts'
import type { LaneItem } from './lanes.ts'
import type { Session } from './session.ts'

/** One delivery on its way through a consumer: what has happened to it so far. Made in one place with all its fields: the hot path meets one shape. */
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
  /** Of the start that is under way: its number, and epoch ms if anybody wants to know how long it takes. */
  attempt = 0
  since = 0
  /** Whether its handler runs. */
  running = false
  /** Whether its handler has ended and its acknowledgement is on its way. */
  settling = false
  /** Whether its start alone was noted on the broker. */
  marked = false
  over = false
  /** Told once how its settlement ended. */
  whenSettled: ((task: Task, settled: Settled) => void) | undefined
  /** Its place in the hand. */
  held = false
  before: Task | undefined
  after: Task | undefined
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

  /** Begins a start. The first is 1: what the broker counted durably, or what failed before, and what was started here. */
  begin(counts: boolean): void {
    const durable = counts ? (this.arrival.deliveryCount ?? 1) : 1
    this.attempt = Math.max(durable + this.starts - 1, this.failures + 1)
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

/** Why a handler's signal aborts when its consumer stops. */
export function stopped(): MessagingError {
  return new MessagingError('aborted', 'the consumer is stopping and its drain time is over')
}
