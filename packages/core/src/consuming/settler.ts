import type { Settled, Settlement, Source } from '../driver/seam.ts'

/** Collects the settlements of a turn into batches, one under way at a time. Each is answered exactly once, by its `T`. */
export interface Settler<T> {
  settle(settlement: Settlement, of: T): void
  /** Resolves when nothing is under way or waiting. */
  idle(): Promise<void>
}

/** A settler of one source. What the source throws counts as `unknown`: the broker brings it again if it did not hold. */
export function settler<T>(source: Pick<Source, 'settle'>, answer: (of: T, settled: Settled) => void): Settler<T> {
  let batch: Settlement[] | undefined
  let owners: T[] = []
  /** Of the batch that is under way. */
  let answered: T[] = []
  let scheduled = false
  let underWay = false
  const idle: (() => void)[] = []

  const flush = (): void => {
    scheduled = false
    if (underWay) return
    if (batch === undefined) {
      for (const call of idle.splice(0)) call()
      return
    }
    const settlements = batch
    batch = undefined
    answered = owners
    underWay = true
    source.settle(settlements).then(finish, unanswered)
  }
  const finish = (results: readonly Settled[] | undefined): void => {
    underWay = false
    const of = answered
    for (let i = 0; i < of.length; i++) answer(of[i] as T, results?.[i] ?? 'unknown')
    flush()
  }
  const unanswered = (): void => finish(undefined)
  return {
    settle(settlement, of) {
      // Often it is the only one of its turn: a list that is made with it has no room to spare.
      if (batch === undefined) {
        batch = [settlement]
        owners = [of]
      } else {
        batch.push(settlement)
        owners.push(of)
      }
      if (scheduled || underWay) return
      scheduled = true
      // After all promises of this turn: one batch for everything that the turn finished.
      process.nextTick(flush)
    },
    idle() {
      if (!underWay && batch === undefined) return Promise.resolve()
      return new Promise((resolve) => idle.push(resolve))
    },
  }
}
