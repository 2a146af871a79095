import type { Dispatch } from '@posthorn/core/driver'
import type { Outgoing } from './frames.ts'

/** What became of the messages of one batch so far: the parts of it that are placed, and who was withdrawn before. */
export interface Progress {
  readonly batch: readonly Dispatch[]
  readonly parts: { readonly messages: readonly Dispatch[]; readonly out: readonly (Outgoing | Error)[] }[]
  early: Set<Dispatch> | undefined
}

/** Batches under way, out of which a message can be taken until it is written. */
export interface Withdrawing {
  begun(batch: readonly Dispatch[]): Progress
  /** The batch has its answer. */
  answered(progress: Progress): void
  /** As the driver's verb. */
  withdraw(batch: readonly Dispatch[], message: Dispatch): boolean
}

/** None under way yet. */
export function withdrawing(): Withdrawing {
  // Few at a time, and hardly ever looked for: to find one by its batch in a map would cost each of them more than all else here.
  const batches: Progress[] = []
  return {
    begun(batch) {
      const progress: Progress = { batch, parts: [], early: undefined }
      batches.push(progress)
      return progress
    },
    answered(progress) {
      const last = batches.pop() as Progress
      if (last !== progress) batches[batches.indexOf(progress)] = last
    },
    withdraw(batch, message) {
      const progress = batches.find((each) => each.batch === batch)
      if (progress === undefined) return false
      for (const { messages, out } of progress.parts) {
        const place = messages.indexOf(message)
        if (place >= 0) return takeBack(out[place])
      }
      progress.early = (progress.early ?? new Set()).add(message)
      return true
    },
  }
}

/** Where these go is known; what was withdrawn before it was is not written. */
export function arePlaced(
  { parts, early }: Progress,
  messages: readonly Dispatch[],
  out: readonly (Outgoing | Error)[],
): void {
  parts.push({ messages, out })
  if (early !== undefined) for (const [i, each] of messages.entries()) if (early.has(each)) takeBack(out[i])
}

/** Whether it is not written and will not be; what cannot be sent at all will not. */
function takeBack(each: Outgoing | Error | undefined): boolean {
  if (each === undefined || each instanceof Error) return true
  if (each.fate === 'written') return false
  each.fate = 'withdrawn'
  return true
}
