// Makes batches of what is sent in a turn, and answers for each message by its deadline.
import type { Clock } from '../driver/clock.ts'
import type { Driver, Traits } from '../driver/seam.ts'
import type { MessagingError } from '../errors.ts'
import { aborting } from './aborting.ts'
import { deadlines } from './deadlines.ts'
import { abortedError, closedError, type Ending, lateError } from './endings.ts'
import { flying } from './flying.ts'
import { gathering } from './gathering.ts'
import { lanes } from './lanes.ts'
import { listOf, push, remove, type Slot, shift } from './slot.ts'

/** What a batcher works with. */
export interface BatcherPorts {
  readonly driver: Pick<Driver, 'send' | 'withdraw'>
  readonly traits: Pick<Traits, 'inFlight' | 'maxBatch' | 'partialFailure' | 'refusesSingly'>
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

/**
 * Messages sent in one turn of the event loop after which the rest wait for the next: where a driver answers at once, callers that do
 * nothing but send would keep timers, sockets and consumers waiting.
 */
const mostInATurn = 64

/** Flights that may wait for their next try before nothing new goes out: a part that fails does not stop the rest at once. */
const morePauses = 4

/** Makes a batcher. */
export function batcher({ driver, traits, clock, closing, random }: BatcherPorts): Batcher {
  const inFlight = Math.max(1, traits.inFlight)
  const maxBatch = Math.max(1, traits.maxBatch)
  const { partialFailure } = traits
  const mostPauses = Math.max(inFlight, morePauses)
  const book = lanes()
  const ready = listOf()
  const due = deadlines(
    clock,
    (slot) => end(slot, lateError),
    () => {
      listening = false
      closing.removeEventListener('abort', close)
    },
  )
  const { air, start, mayArrive, lost } = flying({
    driver,
    clock,
    random,
    book,
    partialFailure,
    settle,
    diverted,
    idle: () => ready.head === undefined,
    schedule,
    pump: () => {
      if (sentInTurn < mostInATurn) pump()
    },
  })
  const { again } = air
  const ordered = inFlight === 1 && !partialFailure
  const gathered = gathering({
    book,
    ready,
    again,
    maxBatch,
    oneEach: traits.refusesSingly === true,
    ordered,
    diverted,
  })
  const heed = aborting((slot, signal) => end(slot, (each, outcome) => abortedError(each, outcome, signal)))
  let scheduled = false
  let sentInTurn = 0
  let listening = false
  let lingering = 0
  let lingered: (() => void) | undefined

  // The end of the turn's microtasks: everyone whose answer came in this turn has sent the next one by then.
  function schedule(): void {
    if (scheduled) return
    scheduled = true
    if (sentInTurn < mostInATurn && !air.alone) process.nextTick(pump)
  }
  function turned(): void {
    sentInTurn = 0
    if (scheduled) pump()
  }
  function pump(): void {
    scheduled = false
    lingering = 0
    lingered?.()
    lingered = undefined
    while (air.under < inFlight) {
      const flight = again.shift() ?? (air.paused < mostPauses ? gathered() : undefined)
      if (flight === undefined) return
      const before = sentInTurn
      sentInTurn += flight.slots.length
      // Counted over turns where little is sent in each: then the one that waits costs less than to count each turn by itself.
      if (before < mostInATurn && sentInTurn >= mostInATurn) setImmediate(turned)
      start(flight)
    }
  }
  function diverted(slot: Slot): boolean {
    if (slot.owner.divert === undefined || !slot.owner.divert(slot)) return false
    slot.settled = true
    forget(slot)
    return true
  }
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
    if (air.under >= inFlight) return
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

  /** Ends what nobody has answered: it is taken back if it has not left yet, so that what is called failed does not arrive. */
  function end(slot: Slot, ending: Ending): void {
    if (slot.settled) return
    const unknown = slot.unknown || (slot.flight !== undefined && mayArrive(slot.flight, slot))
    settle(slot, ending(slot, unknown ? 'unknown' : 'failed'))
  }

  function close(): void {
    for (const slot of due.all()) end(slot, closedError)
    due.close()
    lingered?.()
  }
  /** Hears of the broker's end while it has anything: one that was made for a moment leaves nothing with the broker. */
  function listen(): void {
    if (listening) return
    listening = true
    closing.addEventListener('abort', close, { once: true })
  }

  return {
    watch(slot, signal) {
      if (closing.aborted) return end(slot, closedError)
      listen()
      due.add(slot)
      if (signal === undefined) return
      if (signal.aborted) return end(slot, (each, outcome) => abortedError(each, outcome, signal))
      heed(slot, signal)
    },
    add(slot) {
      if (slot.settled) return
      if (slot.owner.outside.head === undefined && fits(slot)) admit(slot)
      else push(slot.owner.outside, slot)
    },
    settle,
  }
}
