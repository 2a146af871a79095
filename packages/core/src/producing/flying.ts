// A flight from its launch to its end: tries, pauses, and what its keys wait for.
import { jittered } from '../driver/backoff.ts'
import type { Clock } from '../driver/clock.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { Driver, SendResult } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import { finalError, overtakenError } from './endings.ts'
import type { Flight } from './flight.ts'
import type { Lane, Lanes } from './lanes.ts'
import type { Slot } from './slot.ts'

/** A driver that was aborted settles within a second; after this it is given up, and what it still says is not heard. */
const graceMs = 2_000

/** What is under way. */
export interface Air {
  /** Flights that the driver has. */
  under: number
  /** Flights that wait before their next try. */
  paused: number
  /** Who was alone has been answered, and is just sending the next if he sends on at once: no turn has to end for it. */
  alone: boolean
  /** Flights that may start, first come first. */
  readonly again: Flight[]
}

/** What flights need of the world. */
export interface FlyingPorts {
  readonly driver: Pick<Driver, 'send' | 'withdraw'>
  readonly clock: Clock
  readonly random: (() => number) | undefined
  readonly book: Lanes
  /** Whether the driver may hold a part of a batch. */
  readonly partialFailure: boolean
  readonly settle: (slot: Slot, error: MessagingError | undefined) => void
  readonly diverted: (slot: Slot) => boolean
  /** Whether nothing waits to go out. */
  readonly idle: () => boolean
  /** Something may go out now that could not before. */
  readonly schedule: () => void
  /** What may go out goes out now. */
  readonly pump: () => void
}

/** Starts flights and sees them to their end. */
export interface Flying {
  readonly air: Air
  /** Starts one, unless nothing of it is left to send. */
  start(flight: Flight): void
  /** Whether this try of the slot may still arrive; what may be taken back is, and then it may not. */
  mayArrive(flight: Flight, slot: Slot): boolean
  /** Nobody waits for this slot any more. */
  lost(flight: Flight, slot: Slot): void
}

/** Makes the air for one driver. */
export function flying({
  driver,
  clock,
  random,
  book,
  partialFailure,
  settle,
  diverted,
  idle,
  schedule,
  pump,
}: FlyingPorts): Flying {
  const air: Air = { under: 0, paused: 0, alone: false, again: [] }
  // One that was not aborted serves the next flight.
  const controllers: AbortController[] = []

  function launch(flight: Flight): void {
    air.under++
    flight.state = 'out'
    flight.tries++
    const stop = controllers.pop() ?? new AbortController()
    flight.stop = stop
    let sending: Promise<readonly SendResult[]>
    try {
      sending = driver.send(
        flight.messages,
        flight.atomic ? { signal: stop.signal, atomic: true } : { signal: stop.signal },
      )
    } catch (error) {
      sending = Promise.reject(error)
    }
    void sending
      .then(
        (results) => answered(flight, results, undefined),
        (error: unknown) => answered(flight, undefined, known(error)),
      )
      .then(onward, broken)
  }
  function answered(
    flight: Flight,
    results: readonly SendResult[] | undefined,
    error: MessagingError | undefined,
  ): void {
    air.alone = air.under === 1 && !flight.atomic && flight.slots.length === 1 && idle()
    landed(flight, results, error)
  }
  /** Whoever was answered and sends on at once has done so: alone, he need not wait for the end of the turn's microtasks. */
  function onward(): void {
    if (!air.alone) return
    air.alone = false
    pump()
  }
  /** A defect of ours does not keep who comes next waiting. */
  function broken(error: unknown): never {
    onward()
    throw error
  }
  function landed(flight: Flight, results: readonly SendResult[] | undefined, error: MessagingError | undefined): void {
    if (flight.state !== 'out') return
    flight.state = 'over'
    flight.cancel?.()
    flight.cancel = undefined
    air.under--
    const stop = flight.stop as AbortController
    if (!stop.signal.aborted) controllers.push(stop)
    const kept: Slot[] = []
    const { slots } = flight
    const overtaken = partialFailure && results !== undefined ? overtakenOf(slots, results) : undefined
    for (let n = 0; n < slots.length; n++) {
      const slot = slots[n] as Slot
      const result = slot.group === undefined ? results?.[n] : together(slot, results)
      if (slot.settled) leave(flight, slot)
      else if (result?.ok === true) {
        slot.position = result.position
        settle(slot, undefined)
        leave(flight, slot)
      } else if (failed(slot, result?.error ?? error ?? mute(), overtaken?.has(slot) === true)) kept.push(slot)
      else leave(flight, slot)
    }
    if (kept.length > 0) rest(flight, kept)
    schedule()
  }
  /** Whether it is tried again; else it is settled. */
  function failed(slot: Slot, error: MessagingError, overtaken: boolean): boolean {
    slot.last = error
    if (error.outcome === 'unknown') slot.unknown = true
    if (error.retryable && !overtaken) return true
    settle(slot, finalError(slot, error.retryable ? overtakenError(slot, error) : error))
    return false
  }
  /** Waits, then sends again what is left, as it was and before everything later of its keys. */
  function rest(flight: Flight, kept: Slot[]): void {
    flight.slots = kept
    flight.live = kept.length
    flight.state = 'pause'
    air.paused++
    for (const slot of kept) {
      const key = slot.message?.letter === undefined ? slot.message?.key : undefined
      if (slot.lane !== undefined || slot.group !== undefined || key === undefined) continue
      const lane = book.find(slot.topic, key)
      if (lane === undefined) slot.lane = book.open(slot.topic, key, flight)
      else {
        lane.held++
        slot.lane = lane
      }
    }
    flight.cancel = clock.after(5 + jittered(flight.tries, 25, 1_000, random), () => {
      air.paused--
      flight.cancel = undefined
      flight.state = 'ready'
      air.again.push(flight)
      schedule()
    })
  }
  /** Takes out what has ended since the last try, and what must go to the spool because something of its key went there. */
  function renew(flight: Flight): void {
    for (const slot of flight.slots) if (!slot.settled && diverted(slot)) lost(flight, slot)
    flight.slots = flight.slots.filter((slot) => !slot.settled)
    if (!flight.atomic) flight.messages = flight.slots.map((slot) => slot.message as Dispatch)
  }
  /** Nobody waits for this slot any more. */
  function lost(flight: Flight, slot: Slot): void {
    if (flight.state === 'over') return
    flight.live--
    if (flight.state === 'out') {
      if (flight.live > 0) return
      flight.stop?.abort(new MessagingError('aborted', 'nobody waits for these messages any more'))
      flight.cancel = clock.after(graceMs, () => landed(flight, undefined, mute()), { unref: true })
      return
    }
    if (flight.state === 'lanes') book.unwait(flight)
    leave(flight, slot)
    schedule()
    if (flight.live > 0) return
    if (flight.state === 'pause') {
      flight.cancel?.()
      air.paused--
    }
    flight.state = 'over'
  }
  function leave(flight: Flight, slot: Slot): void {
    if (slot.lane !== undefined) {
      book.leave(slot.lane)
      slot.lane = undefined
    }
    if (flight.atomic) for (const lane of flight.lanes.splice(0)) book.leave(lane)
  }

  return {
    air,
    start(flight) {
      if (flight.tries > 0) renew(flight)
      if (flight.live > 0) launch(flight)
      else flight.state = 'over'
    },
    mayArrive: (flight, slot) =>
      flight.state === 'out' && driver.withdraw?.(flight.messages, slot.message as Dispatch) !== true,
    lost,
  }
}

/**
 * Messages of a key go out together, in order. Where the broker took a later one and not an earlier one, the earlier must not come behind it: it is
 * not tried again.
 */
function overtakenOf(slots: readonly Slot[], results: readonly SendResult[]): ReadonlySet<Slot> | undefined {
  let overtaken: Set<Slot> | undefined
  const passed = new Set<Lane>()
  for (let n = slots.length - 1; n >= 0; n--) {
    const slot = slots[n] as Slot
    if (slot.lane === undefined) continue
    if (results[n]?.ok === true) passed.add(slot.lane)
    else if (passed.has(slot.lane)) {
      overtaken ??= new Set()
      overtaken.add(slot)
    }
  }
  return overtaken
}

/** The one result of an atomic batch: all are there, or the first that tells why not. */
function together(slot: Slot, results: readonly SendResult[] | undefined): SendResult | undefined {
  slot.results = results
  if (results === undefined || results.length < slot.weight) return undefined
  const unknown = results.find((each) => !each.ok && each.error.outcome === 'unknown')
  return unknown ?? results.find((each) => !each.ok) ?? results[0]
}

function known(error: unknown): MessagingError {
  if (isMessagingError(error)) return error
  return new MessagingError('internal', `the driver failed while it sent: ${describe(error)}`, {
    outcome: 'unknown',
    cause: error,
  })
}

function mute(): MessagingError {
  return new MessagingError('internal', 'the driver gave no answer for a message', { outcome: 'unknown' })
}
