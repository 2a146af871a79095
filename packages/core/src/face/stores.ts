// Stores: durable memory beside the broker.
import type { Delivery } from './handling.ts'

/** Anything with `query(text, values)` that runs inside the caller's open transaction. Placeholders are `$1`, `$2` on every store. */
export interface Transaction {
  query(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>
  /** Not transactions, though they have a `query`: what opens one (PGlite, TypeORM), a pool (pg), TypeORM's runner (its rows have another shape). */
  readonly transaction?: never
  readonly totalCount?: never
  readonly manager?: never
}
/** Opened by an adapter, never made by hand. */
export interface Store extends AsyncDisposable {
  readonly name: string
  readonly '~store': unknown
  readonly scope: 'process' | 'machine' | 'shared'
  readonly keeps: { readonly held: boolean; readonly claims: boolean; readonly transactions: boolean }
  transaction<R>(work: (tx: Transaction) => Promise<R>): Promise<R>
  /** The inbox inside a transaction of yours (an ORM's): false where the group has handled this message; then return without effect. */
  once(delivery: Pick<Delivery, 'id' | 'topic' | 'group'>, tx: Transaction): Promise<boolean>
  lock<R>(
    name: string,
    options: { readonly ttlMs: number; readonly waitMs?: number | undefined },
    work: (lock: { readonly token: number; readonly signal: AbortSignal }) => Promise<R>,
  ): Promise<R>
  close(): Promise<void>
}
