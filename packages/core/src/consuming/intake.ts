import { reconnectPause, refusedPause } from '../driver/backoff.ts'
import type { Clock } from '../driver/clock.ts'
import type { Arrival } from '../driver/envelope.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { Session } from './session.ts'

/** What an intake needs of its consumer. */
export interface IntakeWork {
  /** Ends it for good. */
  readonly stopping: AbortController
  readonly clock: Clock
  /** Topic or pattern, for errors. */
  readonly name: string
  readonly window: number
  /** A replay ends where its source does. */
  readonly ends: boolean
  /** A pause closes the source, so that other members of the group get its messages; a private reader would lose them. */
  readonly closesOnPause: boolean
  /** Opens the source; `freed` tells that the hand got emptier. */
  open(freed: () => void, signal: AbortSignal): Promise<Session>
  accept(arrival: Arrival, from: Session): void
  /** The session is gone: what it brought is no longer ours. */
  forget(session: Session, reason: MessagingError): void
  /** It had the right to read, and has not now; told once until it flows again. */
  refused(error: MessagingError): void
  handBack(): void
  idle(): Promise<unknown>
}

/** Errors that opening again cannot mend. A right that was taken may be given back: only a replay, which somebody waits for, ends without it. */
const final = ['unsupported', 'invalid', 'closed'] as const

/** Messages after which timers and sockets have their turn: a source that always has something would starve them. */
const mostInATurn = 1_000

/** Room of this part of the window is worth a question of its own. */
const worthAsking = 8

const turnEnded = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Nobody waits. */
const asleep = (): void => {}

/** The receive loop over one session after the other: opens again with jittered back-off when the broker was away. */
export class Intake {
  /** While deliveries cannot flow: why. */
  trouble: MessagingError | undefined
  readonly #work: IntakeWork
  readonly #stopping: AbortController
  #receiving = new AbortController()
  #paused:
    | {
        readonly resumed: Promise<void>
        readonly resume: () => void
        /** Nothing is in hand any more, and the source is closed where a pause closes it. */
        readonly rested: Promise<void>
        readonly rest: () => void
      }
    | undefined
  #session: Session | undefined
  #refused = false
  /** Ends a wait for room in the hand. */
  #wake = asleep

  constructor(work: IntakeWork) {
    this.#work = work
    this.#stopping = work.stopping
  }

  get session(): Session | undefined {
    return this.#session
  }
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** Opens for the first time; an error is the caller's. */
  async open(): Promise<void> {
    this.#session = await this.#work.open(() => this.#wake(), this.#stopping.signal)
  }

  /** Serves until told to stop or until the end of a replay; rejects when the source cannot be opened any more. */
  async serve(): Promise<void> {
    for (let session = this.#session; session !== undefined; session = this.#session) {
      const why = await this.#receive(session)
      if (why === 'stop') return
      if (why === 'end') return void (await this.#work.idle())
      if (why === 'pause') {
        if (!(await this.#rest(session))) continue
      } else {
        this.#troubled(why)
        this.#work.forget(session, why)
        await session.close().catch(() => {})
      }
      this.#session = await this.#reopen()
    }
  }

  /** Undefined unless paused: ends when a pause has taken its effect. */
  get rested(): Promise<void> | undefined {
    return this.#paused?.rested
  }

  /** Does something with a source that brings nothing. */
  async aside(work: (source: Session['source']) => Promise<void>): Promise<void> {
    const opened = await this.#work.open(() => {}, this.#stopping.signal)
    try {
      await work(opened.source)
    } finally {
      await opened.close()
    }
  }

  pause(): void {
    if (this.#paused !== undefined || this.#stopping.signal.aborted) return
    const resumed = Promise.withResolvers<void>()
    const rested = Promise.withResolvers<void>()
    this.#paused = {
      resumed: resumed.promise,
      resume: resumed.resolve,
      rested: rested.promise,
      rest: rested.resolve,
    }
    this.#receiving.abort()
    this.#wake()
  }

  resume(): void {
    const paused = this.#paused
    if (paused === undefined) return
    this.#paused = undefined
    this.#receiving = new AbortController()
    paused.rest()
    paused.resume()
  }

  /** Takes nothing new from now on; the session stays open, so that what is in hand can be settled. */
  stop(): void {
    this.#stopping.abort()
    this.#receiving.abort()
    this.#wake()
    this.#paused?.resume()
    this.#paused?.rest()
  }

  async #receive(session: Session): Promise<'stop' | 'pause' | 'end' | MessagingError> {
    const { signal } = this.#receiving
    for (let received = 0; ; ) {
      if (this.#stopping.signal.aborted) return 'stop'
      if (this.#paused !== undefined) return 'pause'
      const free = this.#work.window - session.inHand.size
      if (free <= 0) {
        await this.#room(session)
        continue
      }
      try {
        const arrivals = await session.source.receive(free, signal)
        if (arrivals.length === 0 && this.#work.ends && !signal.aborted) return 'end'
        this.#refused = false
        for (const arrival of arrivals) this.#work.accept(arrival, session)
        received += Math.max(1, arrivals.length)
      } catch (error) {
        if (this.#stopping.signal.aborted) return 'stop'
        if (isMessagingError(error)) return error
        return new MessagingError('internal', `receiving from ${this.#work.name} failed: ${describe(error)}`, {
          cause: error,
        })
      }
      if (received < mostInATurn) continue
      received = 0
      await turnEnded()
    }
  }

  /** Waits for room in a hand that is full; where that is little, for all that this turn makes: asking for one at a time costs a question for each. */
  async #room(session: Session): Promise<void> {
    const { window } = this.#work
    await new Promise<void>((resolve) => {
      this.#wake = () => {
        this.#wake = asleep
        resolve()
      }
    })
    if (window - session.inHand.size < window / worthAsking) await turnEnded()
  }

  /** Waits for `resume`; false where the session stayed open. */
  async #rest(session: Session): Promise<boolean> {
    const paused = this.#paused
    this.#work.handBack()
    if (this.#work.closesOnPause) {
      await this.#work.idle()
      await session.close().catch(() => {})
    }
    paused?.rest()
    await paused?.resumed
    return this.#work.closesOnPause
  }

  #troubled(why: MessagingError): void {
    this.trouble = why
    const refused = why.code === 'unauthorized'
    if (refused && !this.#refused) this.#work.refused(why)
    this.#refused = refused
  }

  async #reopen(): Promise<Session | undefined> {
    const { signal } = this.#stopping
    const { clock, ends } = this.#work
    for (let attempt = 1; !signal.aborted; attempt++) {
      // After a pause nothing was wrong: there is nothing to back off from.
      const wait = this.#refused ? refusedPause : reconnectPause
      if ((attempt > 1 || this.trouble !== undefined) && !(await wait(clock, attempt, signal))) break
      try {
        const opened = await this.#work.open(() => this.#wake(), signal)
        this.trouble = undefined
        return opened
      } catch (error) {
        if (signal.aborted) break
        this.#troubled(
          isMessagingError(error) ? error : new MessagingError('internal', describe(error), { cause: error }),
        )
        if (isMessagingError(error, ...final) || (ends && this.#refused)) throw error
      }
    }
    return undefined
  }
}
