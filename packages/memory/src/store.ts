import type { Store } from '@posthorn/core'
import { defineStore } from '@posthorn/core/driver'
import { memoryClaims } from './claims.ts'
import { memoryHeld } from './held.ts'
import type { Log } from './log.ts'
import { inTransaction, MemoryTransaction } from './transaction.ts'

/** The store of a log: one for all brokers that share the log, and ended by none of them. */
export function storeOf(log: Log): Store {
  log.store ??= defineStore({
    name: 'memory',
    scope: 'process',
    held: memoryHeld(log.clock),
    claims: memoryClaims(log.clock),
    transaction: inTransaction,
    owns: (tx) => tx instanceof MemoryTransaction,
    clock: log.clock,
    close: async () => {},
  })
  return log.store
}
