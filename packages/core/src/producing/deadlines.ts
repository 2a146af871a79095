import type { Clock } from '../driver/clock.ts'
import type { Slot } from './slot.ts'

/** Slots of one time-out, earliest first: they come in the order of their deadlines. */
export interface Chain {
  first: Slot | undefined
  last: Slot | undefined
}

/** When slots are too late: one timer for the earliest of all. */
export interface Deadlines {
  add(slot: Slot): void
  remove(slot: Slot): void
  /** Everything that waits. */
  all(): Slot[]
  close(): void
}

/**
 * Watches deadlines; `expire` is called once for each slot that is still there, and must end in `remove`. `idle` tells, some time after
 * the last slot has gone, that the timer has ended: nothing is held until the next `add`.
 */
export function deadlines(clock: Clock, expire: (slot: Slot) => void, idle: () => void): Deadlines {
  const chains = new Map<number, Chain>()
  let timeoutMs = -1
  let chain: Chain = { first: undefined, last: undefined }
  let armedFor = Infinity
  let cancel = (): void => {}

  function chainOf(ms: number): Chain {
    if (ms === timeoutMs) return chain
    const found = chains.get(ms) ?? { first: undefined, last: undefined }
    chains.set(ms, found)
    timeoutMs = ms
    chain = found
    return found
  }
  function arm(at: number): void {
    cancel()
    armedFor = at
    // What waits keeps its own connection or timer alive; this one must not keep a process that has nothing else to do.
    cancel = clock.after(Math.max(0, at - clock.now()), fire, { unref: true })
  }
  function fire(): void {
    armedFor = Infinity
    const now = clock.now()
    let next = Infinity
    for (const each of chains.values()) {
      for (let slot = each.first; slot !== undefined && slot.deadline <= now; slot = each.first) expire(slot)
      if (each.first !== undefined) next = Math.min(next, each.first.deadline)
    }
    if (next < armedFor) arm(next)
    else if (armedFor === Infinity) idle()
  }

  return {
    add(slot) {
      const own = chainOf(slot.owner.timeoutMs)
      slot.chain = own
      // A clock that was set back may bring an earlier deadline: it then waits for the one before it, at most that long.
      slot.sooner = own.last
      if (own.last === undefined) own.first = slot
      else own.last.later = slot
      own.last = slot
      if (slot.deadline < armedFor) arm(slot.deadline)
    },
    remove(slot) {
      const own = slot.chain
      if (own === undefined) return
      const { sooner, later } = slot
      if (sooner === undefined) own.first = later
      else sooner.later = later
      if (later === undefined) own.last = sooner
      else later.sooner = sooner
      slot.chain = undefined
      slot.sooner = undefined
      slot.later = undefined
    },
    all() {
      const slots: Slot[] = []
      for (const each of chains.values())
        for (let slot = each.first; slot !== undefined; slot = slot.later) slots.push(slot)
      return slots
    },
    close() {
      cancel()
    },
  }
}
