import type { Clock } from '../driver/clock.ts'

/**
 * Lets one suspect of a broker run at a time, and nothing beside it in any consumer: whatever ends the process meanwhile would be blamed on the suspect.
 * Neither waits for ever: a handler may be what another one waits for.
 */
export interface AloneGate {
  /** Handlers that run beside each other, in all consumers; whoever starts or ends one says so here. */
  beside: number
  /** Whether none but a suspect may start now; whoever would is called when it may. */
  shut(again: () => void): boolean
  /** One that ran beside others has ended. */
  ended(): void
  /** Whether the caller may run its suspect now; if not, it is called when it may ask again. */
  enter(again: () => void): boolean
  leave(): void
  /** Where a start alone is marked by a copy: whether the copy of this message may be sent, or another's is still on its way. */
  copyMayLeave(id: string, now: number): boolean
  /** The start of a copy has ended. */
  copyEnded(id: string): void
}

/** After so long another process must have got the copy. */
const copyAwayMs = 10_000
/** How long a suspect waits until nothing runs beside it, and how long the others wait for it. */
const quietMs = 1_000
const othersMs = 5_000

/** Makes the gate of one broker. */
export function aloneGate(clock: Clock): AloneGate {
  /** A suspect that runs, or waits for quiet. */
  let turn: { readonly again: () => void; running: boolean; patient: boolean; cancel: () => void } | undefined
  /** The others have waited long enough. */
  let open = true
  const suspects = new Set<() => void>()
  const others = new Set<() => void>()
  let copy: { readonly id: string; readonly until: number } | undefined

  const letOthers = (): void => {
    open = true
    const calls = [...others]
    others.clear()
    for (const call of calls) call()
  }
  const after = (ms: number, call: () => void): (() => void) => clock.after(ms, call, { unref: true })
  /** It may have nothing to run any more: then the turn is the next one's. */
  const ask = (mine: NonNullable<typeof turn>): void => {
    mine.again()
    if (turn === mine && !mine.running) gate.leave()
  }
  const claim = (again: () => void): NonNullable<typeof turn> => {
    const mine: NonNullable<typeof turn> = { again, running: false, patient: true, cancel: () => {} }
    turn = mine
    suspects.delete(again)
    open = false
    mine.cancel = after(quietMs, () => {
      mine.patient = false
      ask(mine)
    })
    return mine
  }
  const gate: AloneGate = {
    beside: 0,
    shut(again) {
      if (open) return false
      others.add(again)
      return true
    },
    ended() {
      gate.beside--
      if (gate.beside === 0 && turn !== undefined && !turn.running) ask(turn)
    },
    enter(again) {
      if (turn !== undefined && turn.again !== again) {
        suspects.add(again)
        return false
      }
      const mine = turn ?? claim(again)
      if (mine.running || (gate.beside > 0 && mine.patient)) return false
      mine.running = true
      mine.cancel()
      mine.cancel = after(othersMs, letOthers)
      return true
    },
    leave() {
      turn?.cancel()
      turn = undefined
      letOthers()
      if (turn !== undefined) return
      const [first] = suspects
      if (first === undefined) return
      suspects.delete(first)
      first()
      if (turn === undefined) gate.leave()
    },
    copyMayLeave(id, now) {
      if (copy !== undefined && copy.until > now) return false
      copy = { id, until: now + copyAwayMs }
      return true
    },
    copyEnded(id) {
      if (copy?.id === id) copy = undefined
    },
  }
  return gate
}
