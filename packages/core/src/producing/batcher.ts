// Makes batches of what is sent in a turn, and answers for each message by its deadline.
import { jittered } from '../driver/backoff.ts'
import type { Clock } from '../driver/clock.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { Driver, SendResult, Traits } from '../driver/seam.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import { deadlines } from './deadlines.ts'
import { type Flight, flightOf } from './flight.ts'
import { isMark, type Lane, lanes } from './lanes.ts'
import { listOf, push, remove, type Slot, shift } from './slot.ts'

/** What a batcher works with. */
export interface BatcherPorts {
  readonly driver: Pick<Driver, 'send'>
  readonly traits: Pick<Traits, 'inFlight' | 'maxBatch' | 'partialFailure'>
  readonly clock: Clock
  /** Settles everything with `closed`. */
  readonly closing: AbortSignal
  /** Of the jitter. */
  readonly random?: (() => number) | undefined
}

/**
 * One per broker, shared by all its producers: what a driver can have under way at once is a property of the connection. Order per key thus
 * holds across the producers of a broker, too, which is more than rule 2 asks; buffer, deadline and linger are each producer's own.
 */
export interface Batcher {
  /** From now on the slot has a deadline and hears its signal. Comes before `add`. */
  watch(slot: Slot, signal: AbortSignal | undefined): void
  /** Sends it when its turn comes; waits outside while its producer's buffer is full. */
  add(slot: Slot): void
  /** Ends a slot, wherever it is; the first end counts. */
  settle(slot: Slot, error: MessagingError | undefined): void
}

/** A batch is closed at this many bytes of bodies: about what a broker takes in one request. */
const batchBytes = 1_048_576
/** A driver that was aborted settles within a second; after this it is given up, and what it still says is not heard. */
const graceMs = 2_000
/** Flights that may wait for their next try before nothing new goes out: a part that fails does not stop the rest at once. */
const morePauses = 4

/** Makes a batcher. */
export function batcher({ driver, traits, clock, closing, random }: BatcherPorts): Batcher {
  const inFlight = Math.max(1, traits.inFlight)
  const maxBatch = Math.max(1, traits.maxBatch)
  const oneEach = traits.partialFailure
  // One batch at a time orders everything by itself: lanes are needed only for what waits for another try.
  const ordered = inFlight === 1 && !oneEach
  const mostPauses = Math.max(inFlight, morePauses)
  const book = lanes()
  const ready = listOf()
  const again: Flight[] = []
  const controllers: AbortController[] = []
  const due = deadlines(clock, (slot) => settle(slot, lateError(slot)))
  let under = 0
  let paused = 0
  let scheduled = false
  let lingering = 0
  let lingered: (() => void) | undefined

  // The end of the turn's microtasks: everyone whose answer came in this turn has sent the next one by then.
  function schedule(): void {
    if (scheduled) return
    scheduled = true
    process.nextTick(pump)
  }
  function pump(): void {
    scheduled = false
    lingering = 0
    lingered?.()
    lingered = undefined
    while (under < inFlight) {
      const flight = again.shift() ?? (paused < mostPauses ? gathered() : undefined)
      if (flight === undefined) return
      if (flight.tries > 0) renew(flight)
      if (flight.live > 0) launch(flight)
      else flight.state = 'over'
    }
  }

  // ── making a flight ──

  function gathered(): Flight | undefined {
    const messages: Dispatch[] = []
    const flight = flightOf([], messages, false)
    let bytes = 0
    const room = (slot: Slot): boolean =>
      flight.live === 0 || (flight.live < maxBatch && bytes + (slot.message as Dispatch).body.length <= batchBytes)
    const take = (slot: Slot): void => {
      const message = slot.message as Dispatch
      slot.flight = flight
      bytes += message.body.length
      flight.live++
      flight.slots.push(slot)
      messages.push(message)
    }
    for (const lane of book.free) {
      if (!emptied(lane, flight, room, take)) break
    }
    for (let slot = ready.head as Slot | undefined; slot !== undefined; slot = ready.head as Slot | undefined) {
      if (slot.group !== undefined) {
        if (flight.live > 0) break
        shift(ready)
        const atomic = joined(slot)
        if (atomic.state === 'ready') return atomic
        continue
      }
      if (!room(slot)) break
      shift(ready)
      if (diverted(slot)) continue
      const { key, letter } = slot.message as Dispatch
      // Dead letters have no order to keep, and whoever waits for one must not wait for a stranger's key.
      if (key === undefined || letter !== undefined || gate(slot, key, flight)) take(slot)
    }
    return flight.live > 0 ? flight : again.shift()
  }
  /** Whether this message of a key may join the flight; else it stands in its lane. */
  function gate(slot: Slot, key: string, flight: Flight): boolean {
    const lane = book.find(slot.topic, key)
    if (lane === undefined) {
      if (!ordered) slot.lane = book.open(slot.topic, key, flight)
      return true
    }
    if (lane.owner === flight && !oneEach && lane.waiting.head === undefined) {
      lane.held++
      slot.lane = lane
      return true
    }
    push(lane.waiting, slot)
    return false
  }
  /** Takes what waits in a free lane; false when the flight is full. */
  function emptied(lane: Lane, flight: Flight, room: (slot: Slot) => boolean, take: (slot: Slot) => void): boolean {
    for (let node = lane.waiting.head; node !== undefined; node = lane.waiting.head) {
      if (isMark(node)) {
        if (lane.owner !== undefined) return true
        shift(lane.waiting)
        own(lane, node.mark)
        return true
      }
      const slot = node as Slot
      if (!room(slot)) return false
      shift(lane.waiting)
      if (diverted(slot)) continue
      book.free.delete(lane)
      lane.owner = flight
      lane.held++
      slot.lane = lane
      take(slot)
      if (oneEach) return true
    }
    if (lane.owner === undefined) book.drop(lane)
    return true
  }
  /** An atomic flight takes the lanes that are free and stands in line for the others, all at once: two of them cannot wait for each other. */
  function joined(slot: Slot): Flight {
    const group = slot.group as readonly Dispatch[]
    const flight = flightOf([slot], group, true)
    flight.live = 1
    slot.flight = flight
    const seen = new Set<string>()
    for (const { topic, key } of group) {
      if (key === undefined || seen.has(key)) continue
      seen.add(key)
      const lane = book.find(topic, key)
      if (lane === undefined) flight.lanes.push(book.open(topic, key, flight))
      else book.wait(lane, flight)
    }
    if (flight.marks.length > 0) flight.state = 'lanes'
    return flight
  }
  function own(lane: Lane, flight: Flight): void {
    book.free.delete(lane)
    lane.owner = flight
    lane.held = 1
    flight.lanes.push(lane)
    flight.marks.splice(
      flight.marks.findIndex((mark) => mark.lane === lane),
      1,
    )
    if (flight.marks.length > 0) return
    flight.state = 'ready'
    again.push(flight)
  }
  function diverted(slot: Slot): boolean {
    if (slot.owner.divert === undefined || !slot.owner.divert(slot)) return false
    slot.settled = true
    forget(slot)
    return true
  }

  // ── the flight ──

  function launch(flight: Flight): void {
    under++
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
    sending.then(
      (results) => landed(flight, results, undefined),
      (error: unknown) => landed(flight, undefined, known(error)),
    )
  }
  function landed(flight: Flight, results: readonly SendResult[] | undefined, error: MessagingError | undefined): void {
    if (flight.state !== 'out') return
    flight.state = 'over'
    flight.cancel?.()
    flight.cancel = undefined
    under--
    const stop = flight.stop as AbortController
    if (!stop.signal.aborted) controllers.push(stop)
    const kept: Slot[] = []
    const { slots } = flight
    for (let n = 0; n < slots.length; n++) {
      const slot = slots[n] as Slot
      const result = slot.group === undefined ? results?.[n] : together(slot, results)
      if (slot.settled) leave(flight, slot)
      else if (result?.ok === true) {
        slot.position = result.position
        settle(slot, undefined)
        leave(flight, slot)
      } else if (failed(slot, result?.error ?? error ?? mute())) kept.push(slot)
      else leave(flight, slot)
    }
    if (kept.length > 0) rest(flight, kept)
    if (ready.head !== undefined || again.length > 0 || book.free.size > 0) schedule()
  }
  /** Whether it is tried again; else it is settled. */
  function failed(slot: Slot, error: MessagingError): boolean {
    slot.last = error
    if (error.outcome === 'unknown') slot.unknown = true
    if (error.retryable) return true
    settle(slot, finalError(slot, error))
    return false
  }
  /** Waits, then sends again what is left, as it was and before everything later of its keys. */
  function rest(flight: Flight, kept: Slot[]): void {
    flight.slots = kept
    flight.live = kept.length
    flight.state = 'pause'
    paused++
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
      paused--
      flight.cancel = undefined
      flight.state = 'ready'
      again.push(flight)
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
      paused--
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

  // ── the slot ──

  function forget(slot: Slot): void {
    due.remove(slot)
    slot.unlisten?.()
    slot.unlisten = undefined
    if (!slot.admitted) return
    const { owner } = slot
    slot.admitted = false
    owner.admitted -= slot.weight
    for (
      let next = owner.outside.head as Slot | undefined;
      next !== undefined;
      next = owner.outside.head as Slot | undefined
    ) {
      if (!fits(next)) return
      shift(owner.outside)
      admit(next)
    }
  }
  function fits({ owner, weight }: Slot): boolean {
    return owner.admitted === 0 || owner.admitted + weight <= owner.buffer
  }
  function admit(slot: Slot): void {
    slot.admitted = true
    slot.owner.admitted += slot.weight
    push(ready, slot)
    if (under >= inFlight) return
    const { lingerMs } = slot.owner
    if (lingerMs === 0 || ++lingering >= maxBatch) schedule()
    else lingered ??= clock.after(lingerMs, schedule)
  }
  function settle(slot: Slot, error: MessagingError | undefined): void {
    if (slot.settled) return
    slot.settled = true
    remove(slot)
    forget(slot)
    if (slot.flight !== undefined) lost(slot.flight, slot)
    slot.owner.settled(slot, error)
  }

  closing.addEventListener(
    'abort',
    () => {
      for (const slot of due.all()) settle(slot, closedError(slot))
      due.close()
      lingered?.()
    },
    { once: true },
  )

  return {
    watch(slot, signal) {
      if (closing.aborted) return settle(slot, closedError(slot))
      due.add(slot)
      if (signal === undefined) return
      if (signal.aborted) return settle(slot, abortedError(slot, signal))
      const abort = (): void => settle(slot, abortedError(slot, signal))
      signal.addEventListener('abort', abort, { once: true })
      slot.unlisten = () => signal.removeEventListener('abort', abort)
    },
    add(slot) {
      if (slot.settled) return
      if (slot.owner.outside.head === undefined && fits(slot)) admit(slot)
      else push(slot.owner.outside, slot)
    },
    settle,
  }
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

/** What is known of a slot that ends without an answer: whether any try of it may have arrived. */
function outcomeOf(slot: Slot): 'failed' | 'unknown' {
  return slot.unknown || slot.flight?.state === 'out' ? 'unknown' : 'failed'
}

function lateError(slot: Slot): MessagingError {
  const { owner, last } = slot
  const why =
    last !== undefined
      ? `; the last try ended with ${last.code}: ${last.message}`
      : slot.flight?.state === 'out'
        ? '; the broker has not answered'
        : slot.admitted
          ? '; it never got its turn'
          : '; the buffer was full, or its topic was not ready'
  return new MessagingError(
    'timeout',
    `${slot.topic} ${slot.id} was not confirmed within ${owner.timeoutMs} ms${why}`,
    {
      outcome: outcomeOf(slot),
      cause: last,
    },
  )
}

function abortedError(slot: Slot, signal: AbortSignal): MessagingError {
  return new MessagingError('aborted', `${slot.topic} ${slot.id}: the send was aborted`, {
    outcome: outcomeOf(slot),
    cause: signal.reason,
  })
}

function closedError(slot: Slot): MessagingError {
  return new MessagingError('closed', `${slot.topic} ${slot.id}: the broker was closed before it was confirmed`, {
    outcome: outcomeOf(slot),
    cause: slot.last,
  })
}

/** A certain failure does not undo an earlier try that may have arrived. */
function finalError(slot: Slot, error: MessagingError): MessagingError {
  if (!slot.unknown || error.outcome === 'unknown') return error
  return new MessagingError(error.code, `${error.message} (an earlier try may have arrived)`, {
    outcome: 'unknown',
    cause: error,
    issues: error.issues,
  })
}
