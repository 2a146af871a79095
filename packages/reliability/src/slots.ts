import { type ConsumeExtension, type Delivery, MessagingError } from '@posthorn/core'
import { type Claims, type Clock, extension, newId, partsOf, pause, renewing } from '@posthorn/core/driver'
import { notStarted } from './line.ts'

/** How long a slot is held without a sign of life. */
const leaseMs = 30_000
/** How long a slot waits here for the next message before it goes back. */
const lingerMs = 20
/** A slot that goes from message to message of one process is offered to the others after so long. */
const turnMs = 5_000
/** Longest between two looks for a free slot: of a process that has none, and of one that has. */
const hungryMs = 100
const fedMs = 500
/** Slots that are tried at one look. */
const triesAtOnce = 4

interface Slot {
  readonly name: string
  readonly token: number
  /** Since when this process has it. */
  readonly since: number
  /** Ends the renewals. */
  stop: () => void
  /** Another may have it. */
  lost: boolean
}

/**
 * `concurrency: { group }`: at most so many handlers of a group at once, in all processes together. Each runs on a slot, which is a lease in the store; a process
 * keeps its slot while it has work, so that most messages ask the store for nothing. One that stands still for longer than the lease may go on beside the one
 * that has its slot then.
 */
export function slots(max: number): ConsumeExtension {
  return extension('concurrency', (next) => next, {
    rank: 74,
    bind({ clock, store, topic, group, batch, stopping }) {
      const claims = store === undefined ? undefined : partsOf(store).claims
      if (claims === undefined)
        throw new MessagingError(
          'unsupported',
          "concurrency: { group } needs a store that the group shares; give connect() one, such as store: 'sqlite:./data/app.db'",
        )
      if (batch)
        throw new MessagingError(
          'unsupported',
          'concurrency: { group } counts messages, and a batch handler takes many at once; say concurrency: { process }',
        )
      const pool = slotPool(claims, clock, `slots:${group.length}:${group}:${topic}`, max, stopping)
      return (next) => async (delivery) => {
        const slot = await pool.take(delivery)
        try {
          return await next(delivery)
        } finally {
          await pool.give(slot)
        }
      }
    },
    promises: () => [
      {
        promise: 'group concurrency',
        how: 'store',
        detail: `at most ${max} handlers of the group at once, in all its processes; one that stands still for ${leaseMs} ms loses its place`,
        cost: 'two round trips to the store when work begins and ends, a few a second while messages wait for a slot',
      },
    ],
  })
}

/** The slots that this process has, and how it comes to more. */
function slotPool(claims: Claims, clock: Clock, space: string, max: number, stopping: AbortSignal) {
  const lease = leasing(claims, clock, space, max)
  /** Given back, and kept for the next message here. */
  const free: Slot[] = []
  let line: Promise<unknown> = Promise.resolve()
  let sweeping = false
  let wake = (): void => {}
  const letGo = (): Promise<unknown> => Promise.all(free.splice(0).map(lease.release))
  stopping.addEventListener('abort', () => void letGo(), { once: true })

  /** Until somebody here gives one back, or it is time to look again. */
  async function rest(delivery: Delivery): Promise<void> {
    const given = new AbortController()
    wake = () => given.abort()
    await pause(clock, lease.lookInMs(), AbortSignal.any([given.signal, delivery.signal]))
    wake = () => {}
  }
  async function found(delivery: Delivery): Promise<Slot> {
    for (;;) {
      const kept = free.pop()
      if (kept !== undefined) return kept
      if (delivery.signal.aborted) throw notStarted(delivery)
      const slot = await lease.acquire()
      if (slot !== undefined) return slot
      if (free.length === 0) await rest(delivery)
    }
  }
  return {
    /** One of this process asks at a time: many would each ask for the same slot. */
    take(delivery: Delivery): Promise<Slot> {
      const mine = line.then(() => found(delivery))
      line = mine.catch(() => {})
      return mine
    },
    /** Nothing to wait for unless the consumer stops: then the store may close next. */
    give(slot: Slot): Promise<void> | undefined {
      if (stopping.aborted) return lease.release(slot)
      if (slot.lost || clock.now() - slot.since >= turnMs) {
        // Later than the others look: it is for their sake.
        lease.lookLater(1.5 * hungryMs)
        void lease.release(slot)
        return undefined
      }
      free.push(slot)
      wake()
      if (sweeping) return undefined
      sweeping = true
      const sweep = (): void => {
        sweeping = false
        void letGo()
      }
      clock.after(lingerMs, sweep, { unref: true })
      return undefined
    },
  }
}

/** Takes slots from the store and gives them back. */
function leasing(claims: Claims, clock: Clock, space: string, max: number) {
  const owner = newId(clock.now())
  let probe = Math.floor(Math.random() * max)
  let held = 0
  let nextLook = 0
  const lookLater = (ms: number): void => {
    nextLook = clock.now() + ms
  }
  return {
    lookLater,
    lookInMs: () => Math.max(nextLook - clock.now(), 1),
    /** One that is free; nothing where none was found, or it is not yet time to look again. */
    async acquire(): Promise<Slot | undefined> {
      if (clock.now() < nextLook) return undefined
      for (let tries = Math.min(max, triesAtOnce); tries > 0; tries--) {
        const name = `${probe}`
        probe = (probe + 1) % max
        const claim = await claims.acquire(space, name, owner, leaseMs)
        if (claim.status !== 'fresh') continue
        held++
        const { token } = claim
        const slot: Slot = { name, token, since: clock.now(), lost: false, stop: () => {} }
        slot.stop = renewing(claims, clock, { space, name, token }, leaseMs, () => {
          slot.lost = true
        })
        return slot
      }
      lookLater((held > 0 ? fedMs : hungryMs) * (0.5 + Math.random() / 2))
      return undefined
    },
    async release({ name, token, stop }: Slot): Promise<void> {
      stop()
      held--
      // One that cannot be released runs out by itself.
      await claims.release(space, name, token).catch(() => false)
    },
  }
}
