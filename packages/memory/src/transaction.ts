import type { Transaction } from '@posthorn/core'
import { MessagingError } from '@posthorn/core/driver'

/** One transaction of the memory store: what it writes is seen by others when it commits, all at once. */
export class MemoryTransaction implements Transaction {
  readonly #commits: (() => void)[] = []
  readonly #rollbacks: (() => void)[] = []
  readonly #ends: (() => void)[] = []
  /** What it waits for: another's lock. */
  waitsFor: MemoryTransaction | undefined
  #over = false

  /** There is no SQL in memory. */
  async query(): Promise<never> {
    throw new MessagingError(
      'unsupported',
      'the memory store has no SQL: tx.query needs a store that has, such as sqlite:./data/app.db',
    )
  }

  get over(): boolean {
    return this.#over
  }

  onCommit(call: () => void): void {
    this.#commits.push(call)
  }

  onRollback(call: () => void): void {
    this.#rollbacks.push(call)
  }

  /** Calls back when it is over, either way. */
  onEnd(call: () => void): void {
    this.#ends.push(call)
  }

  end(how: 'commit' | 'rollback'): void {
    this.#over = true
    if (how === 'commit') for (const call of this.#commits) call()
    else for (const call of this.#rollbacks.reverse()) call()
    for (const call of this.#ends) call()
  }
}

/** Refuses what is not an open transaction of a memory store. */
export function openTransaction(tx: Transaction): MemoryTransaction {
  if (!(tx instanceof MemoryTransaction))
    throw new MessagingError(
      'invalid',
      'this transaction is not one of the memory store; pass the tx that broker.store.transaction() gave',
    )
  if (tx.over)
    throw new MessagingError('closed', 'this transaction is over; use tx only within the work that it was given to')
  return tx
}

/** Runs `work` in a transaction: resolves = commit, throws = roll back. */
export async function inTransaction<R>(work: (tx: MemoryTransaction) => Promise<R>): Promise<R> {
  const tx = new MemoryTransaction()
  try {
    const result = await work(tx)
    tx.end('commit')
    return result
  } catch (error) {
    tx.end('rollback')
    throw error
  }
}
