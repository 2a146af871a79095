import type { Runtime } from '../broker/runtime.ts'
import type { Arrival } from '../driver/envelope.ts'
import { describe, MessagingError } from '../errors.ts'
import type { Next } from '../face/extending.ts'
import type { Delivery, Verdict } from '../face/handling.ts'
import { type Handling, handling } from './handling.ts'
import { type Lanes, lanes } from './lanes.ts'
import { type Brought, redelivery } from './redelivery.ts'
import type { Session } from './session.ts'
import type { Settings } from './settings.ts'
import { stopped, Task } from './task.ts'

/** Deliveries from which on a message is suspected of killing its process, and runs alone. */
const suspectFrom = 6

/** What was received, until it is settled: lanes, handlers, waits between tries. */
export class Workbench {
  readonly counts = { handled: 0, failed: 0, givenBack: 0 }
  readonly #runtime: Runtime
  readonly #settings: Settings
  readonly #lanes: Lanes<Task>
  readonly #handling: Handling
  /** Wait in hand for their next try, with what cancels the wait. */
  readonly #suspended = new Map<Task, () => void>()
  readonly #gaveUp: (error: unknown) => void
  #closing = false
  #movedAt = 0
  #quiet: (() => void)[] = []

  /** `gaveUp` is told why a replay cannot go on. */
  constructor(runtime: Runtime, settings: Settings, chain: Next<Delivery, Verdict>, gaveUp: (error: unknown) => void) {
    this.#runtime = runtime
    this.#settings = settings
    this.#gaveUp = gaveUp
    this.#lanes = lanes(settings.concurrency, (task) => void this.#run(task), runtime.alone)
    const bring = redelivery(runtime, settings, (task) => this.#breakLane(task))
    this.#handling = handling(runtime, settings, chain, bring, this.counts)
  }

  get running(): number {
    return this.#lanes.running
  }

  /** Epoch ms of the last message that was settled or taken in while nothing was in hand; undefined while nothing is in hand. */
  get workingSince(): number | undefined {
    return this.#isIdle() ? undefined : this.#movedAt
  }

  /** Takes a delivery in; it starts when its lane and the concurrency allow. */
  accept(arrival: Arrival, from: Session): void {
    const settings = this.#settings
    const suspect = (arrival.deliveryCount ?? 1) - arrival.failures >= suspectFrom || arrival.lone > 0
    const task = new Task(arrival, from, this.#laneOf(arrival), suspect && settings.mode === 'shared')
    from.hold(task)
    // Taken back between its arrival and now: whoever has it next will handle it.
    if (arrival.lost?.aborted === true) {
      from.drop(task)
      return
    }
    if (settings.matches !== undefined && !settings.matches(arrival)) {
      void from.settle(task, { token: arrival.token, verdict: 'ack' })
      return
    }
    if (this.#isIdle()) this.#movedAt = this.#runtime.clock.now()
    arrival.lost?.addEventListener('abort', () => this.#takenBack(task), { once: true })
    this.#lanes.add(task)
  }

  /** Resolves with whether everything in hand was settled in time. */
  idle(withinMs?: number): Promise<boolean> {
    if (this.#isIdle()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const cancel = withinMs === undefined ? undefined : this.#runtime.clock.after(withinMs, () => resolve(false))
      this.#quiet.push(() => {
        cancel?.()
        resolve(true)
      })
    })
  }

  /** Hands back what has not started or waits for its next try. */
  handBack(): void {
    for (const [task, cancel] of [...this.#suspended]) {
      cancel()
      this.#suspended.delete(task)
      void this.#giveBack(task).then(() => this.#lanes.release(task))
    }
    for (const task of this.#lanes.clear()) void this.#giveBack(task)
  }

  /** From now on nothing starts and nothing waits: what ends is settled or handed back. */
  close(): void {
    this.#closing = true
    this.handBack()
  }

  /** Tells the handlers that run that it is over. */
  abort(): void {
    for (const task of this.#inHand) task.abort(stopped())
  }

  /** What this session brought is no longer ours: what has not started is forgotten, what runs is told. */
  forget(session: Session, reason: unknown): void {
    // First what waits in lanes, or it would start when the head of its lane goes.
    for (const task of this.#lanes.clear()) task.session.drop(task)
    for (const [task, cancel] of [...this.#suspended]) {
      if (task.session !== session) continue
      cancel()
      this.#suspended.delete(task)
      session.drop(task)
      this.#lanes.release(task)
    }
    for (const task of session.inHand) task.abort(reason)
  }

  readonly #inHand = new Set<Task>()

  async #run(task: Task): Promise<void> {
    this.#inHand.add(task)
    let brought: Brought
    try {
      if (task.over) brought = 'stale'
      else brought = this.#closing ? await this.#giveBack(task) : await this.#handling.handle(task)
    } catch (error) {
      this.#runtime.events.say(
        `a fault in the consumer of ${this.#settings.name}; the message goes back: ${describe(error)}`,
      )
      brought = await this.#giveBack(task)
    }
    this.#inHand.delete(task)
    if (this.#handling.gaveUp !== undefined) this.#gaveUp(this.#handling.gaveUp)
    if (typeof brought === 'object' && !task.over) {
      if (!this.#closing) return this.#suspend(task, brought.waitMs)
      brought = await this.#giveBack(task)
    }
    this.#movedAt = this.#runtime.clock.now()
    if (brought !== 'ok') this.#breakLane(task)
    this.#lanes.done(task)
    if (this.#isIdle()) for (const call of this.#quiet.splice(0)) call()
  }

  #suspend(task: Task, waitMs: number): void {
    this.#lanes.suspend(task)
    const again = (): void => {
      this.#suspended.delete(task)
      this.#lanes.resume(task)
    }
    this.#suspended.set(task, this.#runtime.clock.after(waitMs, again))
  }

  #giveBack(task: Task): ReturnType<Session['settle']> {
    this.counts.givenBack++
    // The failures go with it: what was tried here is not forgotten where the broker can keep it.
    const failed = task.failures > task.arrival.failures ? { failures: task.failures, history: task.history } : {}
    return task.session.settle(task, { token: task.arrival.token, verdict: 'nack', ...failed })
  }

  /** What came behind a message that goes back must go back, too, or it would overtake it. */
  #breakLane(task: Task): void {
    if (task.lane !== undefined) for (const each of this.#lanes.clearLane(task.lane)) void this.#giveBack(each)
  }

  #takenBack(task: Task): void {
    const { id, lost } = task.arrival
    task.abort(lost?.reason ?? new MessagingError('stale', `the broker took message ${id} back`))
    // What has started settles as stale; what has not is never started: the lanes meet it and find it over.
    if (task.starts === 0) task.session.drop(task)
  }

  #laneOf(arrival: Arrival): string | undefined {
    const { order } = this.#settings
    if (order === 'none') return undefined
    if (order === 'topic') return arrival.topic
    return arrival.key === undefined ? undefined : `${arrival.topic}\n${arrival.key}`
  }

  #isIdle(): boolean {
    return this.#lanes.running === 0 && this.#suspended.size === 0
  }
}
