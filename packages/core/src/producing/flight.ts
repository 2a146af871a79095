import type { Dispatch } from '../driver/envelope.ts'
import type { Lane, Mark } from './lanes.ts'
import type { Slot } from './slot.ts'

/**
 * A batch on its way, through all its tries. `lanes`: an atomic one waits for the lanes of its keys; `ready`: waits for a place under
 * way; `out`: the driver has it; `pause`: waits before the next try; `over`: nothing of it is left.
 */
export interface Flight {
  slots: Slot[]
  messages: readonly Dispatch[]
  readonly atomic: boolean
  state: 'lanes' | 'ready' | 'out' | 'pause' | 'over'
  /** Slots whose callers still wait. */
  live: number
  tries: number
  stop: AbortController | undefined
  /** Ends the pause, or the grace after an abort. */
  cancel: (() => void) | undefined
  /** Of an atomic one: lanes that it owns, and marks in those that it waits for. */
  readonly lanes: Lane[]
  readonly marks: Mark[]
}

/** Makes a flight of these slots, which may still be added to. */
export function flightOf(slots: Slot[], messages: readonly Dispatch[], atomic: boolean): Flight {
  return {
    slots,
    messages,
    atomic,
    state: 'ready',
    live: 0,
    tries: 0,
    stop: undefined,
    cancel: undefined,
    lanes: [],
    marks: [],
  }
}
