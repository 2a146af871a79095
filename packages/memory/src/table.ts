import { MessagingError } from '@posthorn/core/driver'
import type { MemoryTransaction } from './transaction.ts'

/** Rows by key. A row that a transaction has written is locked until its end; who wants it meanwhile waits, as in a database. */
export interface Table<T> {
  /** As `tx` sees it; without one as committed. */
  get(key: string, tx: MemoryTransaction | undefined): T | undefined
  /** Waits until no other transaction has the row, then has it in `tx`. Without `tx` the caller writes before it waits for anything else. */
  lock(key: string, tx: MemoryTransaction | undefined): Promise<void>
  locked(key: string): boolean
  /** Undefined deletes. */
  set(key: string, value: T | undefined, tx: MemoryTransaction | undefined): void
  /** Committed rows in order of insertion. */
  readonly rows: ReadonlyMap<string, T>
}

/** Makes an empty table; `changed` hears of each committed change. */
export function table<T>(changed: (key: string, old: T | undefined, now: T | undefined) => void): Table<T> {
  const rows = new Map<string, T>()
  const owners = new Map<string, MemoryTransaction>()
  const pending = new Map<MemoryTransaction, Map<string, T | undefined>>()
  const write = (key: string, value: T | undefined): void => {
    const old = rows.get(key)
    if (value === undefined) rows.delete(key)
    else rows.set(key, value)
    changed(key, old, value)
  }
  const enlist = (tx: MemoryTransaction): Map<string, T | undefined> => {
    const known = pending.get(tx)
    if (known !== undefined) return known
    const writes = new Map<string, T | undefined>()
    pending.set(tx, writes)
    tx.onCommit(() => {
      for (const [key, value] of writes) write(key, value)
    })
    tx.onEnd(() => void pending.delete(tx))
    return writes
  }
  return {
    rows,
    get(key, tx) {
      const writes = tx === undefined ? undefined : pending.get(tx)
      return writes?.has(key) === true ? writes.get(key) : rows.get(key)
    },
    async lock(key, tx) {
      for (let owner = owners.get(key); owner !== undefined && owner !== tx; owner = owners.get(key)) {
        if (tx !== undefined) wait(tx, owner, key)
        const end = owner
        await new Promise<void>((resolve) => end.onEnd(resolve))
        if (tx !== undefined) tx.waitsFor = undefined
      }
      if (tx === undefined || owners.get(key) === tx) return
      owners.set(key, tx)
      tx.onEnd(() => void owners.delete(key))
    },
    locked: (key) => owners.has(key),
    set(key, value, tx) {
      if (tx === undefined) write(key, value)
      else enlist(tx).set(key, value)
    },
  }
}

function wait(tx: MemoryTransaction, owner: MemoryTransaction, key: string): void {
  for (let other: MemoryTransaction | undefined = owner; other !== undefined; other = other.waitsFor)
    if (other === tx)
      throw new MessagingError('throttled', `two transactions wait for each other at ${key}; run this one again`)
  tx.waitsFor = owner
}
