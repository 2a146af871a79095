import type { Store } from '@posthorn/core'
import { type Clock, defineStore } from '@posthorn/core/driver'
import { sqliteClaims } from './claims.ts'
import { sqliteHeld } from './held.ts'
import type { Hub } from './hub.ts'
import { inTransaction, SqliteTransaction } from './transaction.ts'

/** The file as a store. `close` runs when it is closed. */
export function storeOf(hub: Hub, namespace: string, clock: Clock, close: () => Promise<void>): Store {
  return defineStore({
    name: 'sqlite',
    scope: 'machine',
    held: sqliteHeld(hub, namespace, clock),
    claims: sqliteClaims(hub, namespace, clock),
    transaction: (work) => inTransaction(hub, work),
    oneWriter: true,
    owns: (tx) => tx instanceof SqliteTransaction && tx.path === hub.path,
    clock,
    close,
  })
}
