import { turn } from './clock.ts'
import type { Log } from './log.ts'

/** The memory log's clock in hand: `broker.driver.client`. */
export interface MemoryClient {
  /** Epoch ms by the log's clock. */
  now(): number
  /** Moves time on by `ms`: what falls due in it happens in order, and promises run between. */
  advance(ms: number): Promise<void>
  /**
   * Resolves when nothing is in hand and nobody waits but for time: for a timer of the log's clock, or for a message that has not been
   * sent. A handler that waits for something outside keeps it waiting.
   */
  idle(): Promise<void>
}

/** Turns of the event loop that must pass without a sign of life. */
const quietTurns = 6

/** The client of a log. */
export function clientOf(log: Log): MemoryClient {
  return {
    now: log.clock.now,
    advance: log.clock.advance,
    async idle() {
      let quiet = 0
      let seen = -1
      for (let turns = 0; quiet < quietTurns; turns++) {
        // What takes long is something outside: do not spin on it.
        if (turns > 64) await new Promise((resolve) => setTimeout(resolve, 1))
        await turn()
        const life = log.activity + log.clock.changes
        quiet = life === seen && (log.clock.awaited || !inHand(log)) ? quiet + 1 : 0
        seen = life
      }
    },
  }
}

function inHand(log: Log): boolean {
  for (const space of log.spaces.values())
    for (const group of space.groups.values())
      for (const member of group.members) if (member.hands.size > 0) return true
  return false
}
