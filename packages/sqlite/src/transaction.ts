import { AsyncLocalStorage } from 'node:async_hooks'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Transaction } from '@posthorn/core'
import { describe, MessagingError } from '@posthorn/core/driver'
import { canonical } from './file.ts'
import type { Hub } from './hub.ts'
import { numbered } from './placeholders.ts'
import { sqlOf } from './sql.ts'
import type { HeldTransaction, Work } from './writer.ts'

interface Opening {
  /** Begins, where it has not; the work of this transaction. */
  readonly work: () => Promise<Work>
  readonly path: string
}

/** A transaction on the file: of `store.transaction`, or on the application's own handle. */
export class SqliteTransaction implements Transaction {
  readonly #opening: Opening
  /** A commit waits for no statement that is under way, so those that come late are refused. */
  #over = false

  constructor(opening: Opening) {
    this.#opening = opening
  }

  get path(): string {
    return this.#opening.path
  }

  async query(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }> {
    const { sql } = await this.work()
    const given = values.map(bindable)
    let rows: readonly Readonly<Record<string, unknown>>[]
    try {
      rows = statementOf(sql.database, text).all(...given) as Record<string, unknown>[]
    } catch (cause) {
      if (!sql.database.isTransaction)
        throw new MessagingError('unavailable', `SQLite ended the transaction on ${this.path}: ${describe(cause)}`, {
          cause,
        })
      // The application's own mistake stays its own error.
      throw cause
    }
    if (!sql.database.isTransaction)
      throw new MessagingError(
        'invalid',
        'a statement of yours ended the transaction; let the work resolve to commit, and throw to roll back',
      )
    return { rows }
  }

  /** The work of this transaction, begun at the first call. */
  async work(): Promise<Work> {
    if (this.#over)
      throw new MessagingError('closed', 'this transaction is over; use tx only within the work that it was given to')
    const work = await this.#opening.work()
    if (this.#over) throw new MessagingError('closed', 'this transaction ended meanwhile; await what uses its tx')
    return work
  }

  end(): void {
    this.#over = true
  }
}

/** Most statements of the application that are kept prepared per handle. */
const mostPrepared = 128
const prepared = new WeakMap<DatabaseSync, Map<string, StatementSync>>()

/** To prepare a statement costs more than to run most of them. A PRAGMA may take effect while it is prepared, so none is kept. */
function statementOf(database: DatabaseSync, text: string): StatementSync {
  let known = prepared.get(database)
  if (known === undefined) {
    known = new Map()
    prepared.set(database, known)
  }
  const found = known.get(text)
  if (found !== undefined) return found
  const made = database.prepare(numbered(text))
  if (/^\s*pragma\b/i.test(text)) return made
  if (known.size >= mostPrepared) known.delete(known.keys().next().value as string)
  known.set(text, made)
  return made
}

function bindable(value: unknown): SQLInputValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return value
    case 'undefined':
      return null
    case 'boolean':
      return value ? 1 : 0
  }
  if (value === null || ArrayBuffer.isView(value)) return value as SQLInputValue
  if (value instanceof Date) return value.toISOString()
  throw new MessagingError('invalid', 'SQLite has no columns for lists and objects; pass JSON.stringify(value)')
}

/** Which flow has which transaction open: a send without `tx` in there would wait for its own end. */
const flows = new AsyncLocalStorage<{ readonly path: string; readonly open: () => boolean }>()

/** Refuses a write outside the transaction that this very flow holds open on the file; `what` would write. */
export function refuseInside(path: string, what = 'a send without { tx }'): MessagingError | undefined {
  const flow = flows.getStore()
  if (flow === undefined || flow.path !== path || !flow.open()) return undefined
  return new MessagingError(
    'invalid',
    `this runs inside an open transaction on the same file, which ${what} would wait for for ever; pass { tx } where it takes one, or do it after the transaction`,
  )
}

/** Throws where `what` would wait for the transaction that this very flow holds open. */
export function mustBeOutside(path: string, what: string): void {
  const refusal = refuseInside(path, what)
  if (refusal !== undefined) throw refusal
}

/** Runs `work` in a transaction that begins at its first use: resolves = commit, throws = roll back. */
export async function inTransaction<R>(hub: Hub, work: (tx: SqliteTransaction) => Promise<R>): Promise<R> {
  let begun: Promise<HeldTransaction> | undefined
  let over = false
  const outer = flows.getStore()
  const tx = new SqliteTransaction({
    path: hub.path,
    async work() {
      if (begun === undefined && outer?.path === hub.path && outer.open())
        throw new MessagingError(
          'invalid',
          'this transaction is within another on the same file, for whose end it would wait for ever; use the tx of that one, or begin after it',
        )
      begun ??= hub.writer.begin()
      return (await begun).work
    },
  })
  const flow = {
    path: hub.path,
    open: () => !over && (begun !== undefined || (outer?.path === hub.path && outer.open())),
  }
  try {
    const result = await flows.run(flow, () => work(tx))
    tx.end()
    await (await begun)?.commit()
    return result
  } catch (error) {
    tx.end()
    // Where it could not even begin there is nothing to take back.
    await begun?.then(
      (held) => held.rollback(),
      () => {},
    )
    throw error
  } finally {
    over = true
  }
}

/**
 * The transaction that is open on your own handle, as a `tx`: what is sent, claimed or held with it commits when you say COMMIT. Refuses
 * where none is open. Readers of this process look for what you committed at their next probe.
 */
export function sqliteTx(database: DatabaseSync): Transaction {
  if (typeof database?.location !== 'function' || !database.isOpen)
    throw new MessagingError('invalid', 'sqliteTx() takes an open DatabaseSync of node:sqlite')
  const file = database.location()
  if (file === null)
    throw new MessagingError('invalid', 'sqliteTx(): this database lives in memory, where no broker can read it')
  if (!database.isTransaction)
    throw new MessagingError(
      'invalid',
      "sqliteTx(): no transaction is open; run database.exec('BEGIN IMMEDIATE') first",
    )
  const work: Work = { sql: sqlOf(database), ends: undefined, after: () => {} }
  return new SqliteTransaction({
    path: canonical(file),
    work: async () => {
      if (!database.isOpen || !database.isTransaction)
        throw new MessagingError('closed', 'the transaction on this handle is over; call sqliteTx() again in the next')
      return work
    },
  })
}

/** The open transaction behind a `tx`, which must be on this file. */
export function openTransaction(tx: Transaction, path: string): SqliteTransaction {
  if (!(tx instanceof SqliteTransaction))
    throw new MessagingError(
      'invalid',
      'this transaction is not one of the SQLite store; pass the tx of broker.store.transaction(), or sqliteTx(database)',
    )
  if (tx.path !== path)
    throw new MessagingError(
      'invalid',
      `this transaction is on ${tx.path}, and ${path} is meant; use one file for both`,
    )
  return tx
}
