import type { Dispatch } from '@posthorn/core/driver'
import type { Outgoing } from './frames.ts'

/** What became of the messages of one batch so far. */
export interface Progress {
  /** Where these go is known; what was withdrawn before it was is not written. */
  placed(messages: readonly Dispatch[], out: readonly (Outgoing | Error)[]): void
  /** The batch has its answer. */
  answered(): void
}

/** Batches under way, out of which a message can be taken until it is written. */
export interface Withdrawing {
  begun(batch: readonly Dispatch[]): Progress
  /** As the driver's verb. */
  withdraw(batch: readonly Dispatch[], message: Dispatch): boolean
}

/** A batch as it is known: the parts of it that are placed, and who was withdrawn before. */
interface Batch {
  readonly parts: { readonly messages: readonly Dispatch[]; readonly out: readonly (Outgoing | Error)[] }[]
  readonly early: Set<Dispatch>
}

/** None under way yet. */
export function withdrawing(): Withdrawing {
  const batches = new Map<readonly Dispatch[], Batch>()
  return {
    begun(batch) {
      const own: Batch = { parts: [], early: new Set() }
      batches.set(batch, own)
      return {
        placed(messages, out) {
          own.parts.push({ messages, out })
          if (own.early.size > 0) for (const [i, each] of messages.entries()) if (own.early.has(each)) takeBack(out[i])
        },
        answered: () => void batches.delete(batch),
      }
    },
    withdraw(batch, message) {
      const own = batches.get(batch)
      if (own === undefined) return false
      for (const { messages, out } of own.parts) {
        const place = messages.indexOf(message)
        if (place >= 0) return takeBack(out[place])
      }
      own.early.add(message)
      return true
    },
  }
}

/** Whether it is not written and will not be; what cannot be sent at all will not. */
function takeBack(each: Outgoing | Error | undefined): boolean {
  if (each === undefined || each instanceof Error) return true
  if (each.fate === 'written') return false
  each.fate = 'withdrawn'
  return true
}
