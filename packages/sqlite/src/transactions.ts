import type { Sql } from './sql.ts'

/** Begins and ends the transactions of a writing handle, one at a time. */
export interface Transactions {
  /** Takes the lock, or throws at once where another has it. `sync`: what it commits survives a loss of power, unless the file is `normal`. */
  begin(sync: boolean): void
  commit(): void
  /** Also where SQLite has ended it already. */
  rollback(): void
}

/** The transactions of a handle that was opened with `synchronous = FULL`. */
export function transactionsOf(sql: Sql, synchronous: 'full' | 'normal'): Transactions {
  const { database } = sql
  const begin = sql.statement('BEGIN IMMEDIATE')
  const commit = sql.statement('COMMIT')
  const rollback = sql.statement('ROLLBACK')
  let syncing = true
  return {
    begin(sync) {
      const wanted = sync && synchronous === 'full'
      if (wanted !== syncing) {
        // Never a statement that was prepared before: SQLite sets this while it prepares, not when it runs.
        database.exec(wanted ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL')
        syncing = wanted
      }
      begin.get()
    },
    commit: () => void commit.get(),
    rollback() {
      if (database.isTransaction) rollback.get()
    },
  }
}
