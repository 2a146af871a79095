import type { Delivered, Ending, Entry, Intent, Outcome } from './entries.ts'

/** What one process writes down about a run. Every line is out of the process's hands when the call returns. */
export interface Ledger {
  /** The clock of all times in it, for `due` and `expires`. */
  now(): number
  /** To be awaited before the send: resolves when it is on disk. */
  intent(intent: Intent): Promise<void>
  outcome(id: string, as: Outcome, code?: string): void
  /** A message was rescheduled. */
  due(id: string, due: number): void
  /** At the very start of the handler. */
  delivery(delivery: Delivered): void
  /** When the effect has happened. */
  effect(id: string, group: string): void
  /** The group is done with the message for good: acknowledged, with no copy that takes its place. */
  ack(id: string, group: string): void
  letter(id: string, group: string | undefined, reason: string): void
  /** A fault begins; the answer ends it. */
  fault(name: string): () => void
  /** A rejection or an exception that nobody handled. */
  rejection(error: unknown): void
  /** What was left in a group after the drain. */
  backlog(group: string, count: number): void
  /** Last words; nothing may be written after. */
  end(ending?: Ending): Promise<void>
}

/** Where lines go. */
export interface Sink {
  write(entry: Entry): void
  /** Resolves when all that was written is on disk. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** The machine's monotonic clock in ms: alike in all its processes, and no jump of the wall clock moves it. */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

/** A ledger that writes to a sink. */
export function ledgerTo(sink: Sink, now: () => number): Ledger {
  const write = sink.write
  return {
    now,
    intent(intent) {
      write({ e: 'intent', t: now(), ...intent })
      return sink.sync()
    },
    outcome: (id, as, code) => write({ e: 'outcome', t: now(), id, as, code }),
    due: (id, due) => write({ e: 'due', t: now(), id, due }),
    delivery: (delivery) => write({ e: 'delivery', t: now(), ...delivery }),
    effect: (id, group) => write({ e: 'effect', t: now(), id, group }),
    ack: (id, group) => write({ e: 'ack', t: now(), id, group }),
    letter: (id, group, reason) => write({ e: 'letter', t: now(), id, group, reason }),
    fault(name) {
      write({ e: 'fault', t: now(), name, phase: 'begin' })
      return () => write({ e: 'fault', t: now(), name, phase: 'end' })
    },
    rejection: (error) =>
      write({
        e: 'rejection',
        t: now(),
        error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      }),
    backlog: (group, count) => write({ e: 'backlog', t: now(), group, count }),
    async end(ending = {}) {
      write({ e: 'end', t: now(), ...ending })
      await sink.sync()
      await sink.close()
    },
  }
}

/** A ledger of one process that is kept in memory. */
export interface MemoryLedger extends Ledger {
  readonly entries: readonly Entry[]
}

/** For quick runs, and for brokers with a clock of their own. */
export function memoryLedger(now: () => number = monotonicNow): MemoryLedger {
  const entries: Entry[] = []
  const ledger = ledgerTo(
    { write: (entry) => void entries.push(entry), sync: () => Promise.resolve(), close: () => Promise.resolve() },
    now,
  )
  return { ...ledger, entries }
}

/** Writes down what nobody handled, until the answer is called. Whoever listens must not also end the process. */
export function recordRejections(ledger: Ledger): () => void {
  const note = (error: unknown): void => ledger.rejection(error)
  process.on('unhandledRejection', note)
  process.on('uncaughtExceptionMonitor', note)
  return () => {
    process.off('unhandledRejection', note)
    process.off('uncaughtExceptionMonitor', note)
  }
}
