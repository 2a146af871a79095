import type { Clock } from '../driver/clock.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { Settled, Settlement, Source } from '../driver/seam.ts'
import { isMessagingError, MessagingError } from '../errors.ts'
import { Hand } from './hand.ts'
import { settler } from './settler.ts'
import type { Task } from './task.ts'

/** One opened source and what is in hand of it. A reconnect makes a new one; what belongs to the old one settles as `stale`. */
export interface Session {
  readonly source: Source
  /** Received and not settled. */
  readonly inHand: Pick<Hand, 'size' | typeof Symbol.iterator>
  hold(task: Task): void
  /** Settles once; afterwards the task is out of hand. */
  settle(task: Task, settlement: Settlement): Promise<Settled>
  /** The same, calling back: what most messages come to costs no promise. */
  settleThen(task: Task, settlement: Settlement, then: (task: Task, settled: Settled) => void): void
  /** The sends and the acknowledgement together or not at all. */
  atomic(task: Task, sends: readonly Dispatch[]): Promise<Settled>
  /** What the broker took back: drops it from the hand without a word to the broker. */
  drop(task: Task): void
  /** Gives back what is unsettled and ends. */
  close(): Promise<void>
  over(): boolean
}

/** Wraps a source; leases are extended at a third of their time while anything is in hand. `freed` is called when the hand got emptier. */
export function session(source: Source, clock: Clock, leaseMs: number | undefined, freed: () => void): Session {
  const inHand = new Hand()
  const settling = settler<Task>(source, (task, settled) => {
    drop(task)
    const { whenSettled } = task
    task.whenSettled = undefined
    whenSettled?.(task, settled)
  })
  const closing = new AbortController()
  let over = false
  let cancel: (() => void) | undefined

  const beat = (): void => {
    if (leaseMs === undefined || source.extend === undefined || cancel !== undefined || over) return
    cancel = clock.after(
      leaseMs / 3,
      () => {
        cancel = undefined
        const tasks = [...inHand]
        if (tasks.length === 0 || over) return
        const lost = (task: Task | undefined): void =>
          task?.abort(
            new MessagingError(
              'stale',
              `the lease of message ${task.arrival.id} was lost; another consumer may have it`,
            ),
          )
        source
          .extend?.(tasks.map((task) => task.arrival.token))
          .then((answers) => {
            for (const [i, answer] of answers.entries()) if (answer === 'stale') lost(tasks[i])
          })
          // An extension that fails is tried again at the next beat; the lease itself tells when it was too late.
          .catch(() => {})
          .finally(beat)
      },
      { unref: true },
    )
  }
  const drop = (task: Task): void => {
    if (inHand.take(task)) {
      task.over = true
      freed()
    }
  }
  const settleThen: Session['settleThen'] = (task, settlement, then) => {
    if (over) drop(task)
    // Also where a settlement is on its way: the first one counts.
    if (task.over || task.whenSettled !== undefined) then(task, 'stale')
    else {
      task.whenSettled = then
      settling.settle(settlement, task)
    }
  }
  return {
    source,
    inHand,
    hold(task) {
      inHand.put(task)
      beat()
    },
    settle: (task, settlement) =>
      new Promise((resolve) => settleThen(task, settlement, (_, settled) => resolve(settled))),
    settleThen,
    async atomic(task, sends) {
      if (task.over || over || source.atomic === undefined) return 'stale'
      const { token } = task.arrival
      try {
        await source.atomic(sends, [{ token, verdict: 'ack' }], closing.signal)
        return 'ok'
      } catch (error) {
        // Nothing of it happened, or nobody knows: either way the message comes again.
        return isMessagingError(error, 'stale') ? 'stale' : 'unknown'
      } finally {
        drop(task)
      }
    },
    drop,
    async close() {
      if (over) return
      await settling.idle()
      over = true
      closing.abort()
      cancel?.()
      await source.close()
      for (const task of inHand) drop(task)
    },
    over: () => over,
  }
}
