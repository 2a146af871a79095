import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'

/** A row by the names of its columns. */
export type Row = Record<string, SQLOutputValue>

/** Statements of one handle, each prepared once. */
export interface Sql {
  readonly database: DatabaseSync
  /** How many rows it changed. */
  run(text: string, ...values: SQLInputValue[]): number
  row(text: string, ...values: SQLInputValue[]): Row | undefined
  rows(text: string, ...values: SQLInputValue[]): Row[]
  /** The values of each row in the order of its columns: half the cost where there are many. */
  lists(text: string, ...values: SQLInputValue[]): SQLOutputValue[][]
  /** The values of the first row: no names are made for it. */
  list(text: string, ...values: SQLInputValue[]): SQLOutputValue[] | undefined
  /** The prepared statement, for a loop over many rows. Who wants no counts calls `get()`: `run()` makes an object of them each time. */
  statement(text: string): StatementSync
}

const known = new WeakMap<DatabaseSync, Sql>()

/** The statements of this handle; the same for all who ask. */
export function sqlOf(database: DatabaseSync): Sql {
  let sql = known.get(database)
  if (sql === undefined) {
    sql = prepare(database)
    known.set(database, sql)
  }
  return sql
}

function prepare(database: DatabaseSync): Sql {
  const statements = new Map<string, StatementSync>()
  const statement = (text: string): StatementSync => {
    let made = statements.get(text)
    if (made === undefined) {
      made = database.prepare(text)
      statements.set(text, made)
    }
    return made
  }
  const listing = new Map<string, StatementSync>()
  const listed = (text: string): StatementSync => {
    let made = listing.get(text)
    if (made === undefined) {
      made = database.prepare(text)
      made.setReturnArrays(true)
      listing.set(text, made)
    }
    return made
  }
  return {
    database,
    run: (text, ...values) => Number(statement(text).run(...values).changes),
    row: (text, ...values) => statement(text).get(...values) as Row | undefined,
    rows: (text, ...values) => statement(text).all(...values) as Row[],
    lists: (text, ...values) => listed(text).all(...values) as unknown as SQLOutputValue[][],
    list: (text, ...values) => listed(text).get(...values) as unknown as SQLOutputValue[] | undefined,
    statement,
  }
}

/** Changes whenever another handle has committed: one word of shared memory. */
export function dataVersion(sql: Sql): number {
  return sql.list('PRAGMA data_version')?.[0] as number
}
