import type { Broker, Transaction } from 'posthorn'
import { startingStock } from '../settings.ts'

const tables = [
  `create table if not exists orders (id text primary key, note text not null, state text not null, placed_at integer not null, due_at integer not null)`,
  `create index if not exists orders_by_state on orders (state)`,
  `create table if not exists stock (item text primary key, free integer not null check (free >= 0), total integer not null)`,
  `create table if not exists reservations (order_id text primary key)`,
  `create table if not exists notices (order_id text not null, what text not null, channel text not null)`,
  `create index if not exists notices_by_order on notices (order_id)`,
  `create table if not exists charges (order_id text primary key, refunded integer not null default 0)`,
  `create table if not exists story (seq integer primary key autoincrement, order_id text not null, at integer not null, what text not null, detail text not null)`,
]

/** Makes the tables, whoever comes first. */
export async function makeTables(broker: Broker): Promise<void> {
  await broker.store.transaction(async (tx) => {
    for (const table of tables) await tx.query(table)
    await tx.query('insert into stock values ($1, $2, $2) on conflict do nothing', ['lamp', startingStock])
  })
}

/** One line of an order's story, for the page. */
export async function tell(tx: Transaction, orderId: string, what: string, detail = ''): Promise<void> {
  await tx.query('insert into story (order_id, at, what, detail) values ($1, $2, $3, $4)', [
    orderId,
    Date.now(),
    what,
    detail,
  ])
}

/** Changes an order's state only from `from`: of a payment and a time-out in the same moment, one finds it changed. */
export async function move(tx: Transaction, orderId: string, from: string, to: string): Promise<boolean> {
  const { rows } = await tx.query('update orders set state = $3 where id = $1 and state = $2 returning id', [
    orderId,
    from,
    to,
  ])
  return rows.length > 0
}
