import type { Runtime } from '../broker/runtime.ts'
import type { Arrival } from '../driver/envelope.ts'
import type { Loss, LossListener } from '../driver/loss.ts'
import { describe } from '../errors.ts'
import { type Aside, aside } from './aside.ts'
import { type Answers, type Chain, type Handling, handling } from './handling.ts'
import { type Lanes, lanes } from './lanes.ts'
import { newestFirst } from './ready.ts'
import { type Brought, redelivery } from './redelivery.ts'
import type { Session } from './session.ts'
import type { Settings } from './settings.ts'
import { stopped, Task } from './task.ts'

/** Deliveries from which on a message is suspected of killing its process, and runs alone. */
const suspectFrom = 6

/** What was received, until it is settled: lanes, handlers, waits between tries. */
export class Workbench implements LossListener {
  readonly counts = { handled: 0, failed: 0, givenBack: 0 }
  readonly #runtime: Runtime
  readonly #settings: Settings
  readonly #lanes: Lanes<Task>
  readonly #handling: Handling
  readonly #aside: Aside<Task> | undefined
  /** Wait in hand for their next try, with what cancels the wait. */
  readonly #suspended = new Map<Task, () => void>()
  readonly #gaveUp: (error: unknown) => void
  #session: Session | undefined
  #closing = false
  #settling = 0
  #moves = 0
  #quiet: (() => void)[] = []

  /** `gaveUp` is told why a replay cannot go on. */
  constructor(
    runtime: Runtime,
    settings: Settings,
    chain: { readonly chain: Chain; readonly answers: Answers },
    gaveUp: (error: unknown) => void,
  ) {
    this.#runtime = runtime
    this.#settings = settings
    this.#gaveUp = gaveUp
    const { clock, traits } = runtime
    const patienceMs = traits.holdMs === undefined ? undefined : traits.holdMs / 2
    const newest =
      settings.newest &&
      newestFirst<Task>(
        ({ arrival }) => arrival.sentAt,
        () => clock.now(),
        patienceMs,
      )
    this.#lanes = lanes(settings.concurrency, (task) => this.#run(task), runtime.alone, newest)
    // Elsewhere each would be a send, again and again.
    if (newest !== undefined && settings.newest !== undefined && traits.nackDelay !== 'none')
      this.#aside = aside(clock, newest, settings.window, settings.newest.asideMs, () => this.#moves)
    const bring = redelivery(runtime, settings, (task) => this.#breakLane(task))
    this.#handling = handling(runtime, settings, chain, bring, this.counts, {
      ended: (task, brought) => this.#ended(task, brought),
      settling: (task) => this.#settle(task),
      fault: (task, error) => this.#fault(task, error),
    })
  }

  /** Handlers that run, and acknowledgements on their way. */
  get running(): number {
    return this.#lanes.running() + this.#settling
  }

  /** Rises whenever a message ends, or comes while nothing is in hand; undefined while nothing is in hand. */
  get moves(): number | undefined {
    return this.#isIdle() ? undefined : this.#moves
  }

  /** Takes a delivery in; it starts when its lane and the concurrency allow. */
  accept(arrival: Arrival, from: Session): void {
    const settings = this.#settings
    const suspect = (arrival.deliveryCount ?? 1) - arrival.failures >= suspectFrom || arrival.lone > 0
    const task = new Task(arrival, from, this.#laneOf(arrival), suspect && settings.mode === 'shared')
    from.hold(task)
    // Taken back between its arrival and now: whoever has it next will handle it.
    if (arrival.lost?.reason !== undefined) {
      from.drop(task)
      return
    }
    if (settings.matches !== undefined && !settings.matches(arrival)) {
      void from.settle(task, { token: arrival.token, verdict: 'ack' })
      return
    }
    if (this.#isIdle()) this.#moves++
    this.#session = from
    arrival.lost?.hear(this)
    this.#lanes.add(task)
    this.#makeRoom(from)
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

  /** Tells the handlers that run that it is over: what an earlier session brought was told when that went. */
  abort(): void {
    for (const task of this.#session?.inHand ?? []) if (task.running) task.abort(stopped())
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

  /** What the broker took back of the session that is open; what an earlier one brought was told when that went. */
  lost(loss: Loss): void {
    for (const task of this.#session?.inHand ?? []) {
      if (task.arrival.lost !== loss) continue
      task.abort(loss.reason)
      // What has started settles as stale; what has not is never started: the lanes meet it and find it over.
      if (task.starts === 0) task.session.drop(task)
    }
  }

  #run(task: Task): void {
    if (task.over) this.#ended(task, 'stale')
    else if (this.#closing) this.#back(task)
    else {
      task.running = true
      this.#handling.handle(task)
    }
  }

  #fault(task: Task, error: unknown): void {
    this.#runtime.events.say(
      `a fault in the consumer of ${this.#settings.name}; the message goes back: ${describe(error)}`,
    )
    this.#back(task)
  }

  #back(task: Task): void {
    void this.#giveBack(task).then((settled) => this.#ended(task, settled))
  }

  /** The broker's answer takes its time, which is no reason to start nothing else: the window bounds what is unsettled. */
  #settle(task: Task): void {
    // It may have been answered at once; and who runs alone does so to its very end.
    if (!task.running || task.alone) return
    task.settling = true
    this.#settling++
    this.#lanes.suspend(task)
  }

  #ended(task: Task, brought: Brought): void {
    task.running = false
    const gaveUp = this.#handling.gaveUp()
    if (gaveUp !== undefined) this.#gaveUp(gaveUp)
    if (typeof brought === 'object' && !task.over) {
      if (this.#closing) this.#back(task)
      else this.#suspend(task, brought.waitMs)
      return
    }
    this.#moves++
    if (brought !== 'ok') this.#breakLane(task)
    if (task.settling) {
      task.settling = false
      this.#settling--
      this.#lanes.release(task)
    } else this.#lanes.done(task)
    if (this.#quiet.length > 0 && this.#isIdle()) for (const call of this.#quiet.splice(0)) call()
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

  #makeRoom(from: Session): void {
    const put = this.#aside?.from(from.inHand.size)
    if (put === undefined) return
    const { items, afterMs } = put
    // It never started: it costs no try, and is not counted as given back.
    for (const task of items) void task.session.settle(task, { token: task.arrival.token, verdict: 'nack', afterMs })
  }

  /** What came behind a message that goes back must go back, too, or it would overtake it. */
  #breakLane(task: Task): void {
    if (task.lane !== undefined) for (const each of this.#lanes.clearLane(task.lane)) void this.#giveBack(each)
  }

  #laneOf(arrival: Arrival): string | undefined {
    const { order, parts } = this.#settings
    if (order === 'none') return undefined
    if (order === 'topic') return arrival.topic
    // A pattern reads many topics, each with keys of its own.
    return arrival.key === undefined || parts !== undefined ? arrival.key : `${arrival.topic}\n${arrival.key}`
  }

  #isIdle(): boolean {
    return this.#lanes.running() === 0 && this.#settling === 0 && this.#suspended.size === 0
  }
}
