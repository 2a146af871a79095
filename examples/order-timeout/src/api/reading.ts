import { DatabaseSync } from 'node:sqlite'
import type { Broker } from 'posthorn'
import { databaseFile, timeoutMs } from '../settings.ts'
import { subscriptions } from '../shop/messages.ts'

/** What the page shows, read beside the writers by a handle of its own. */
export function reading(broker: Broker) {
  const database = new DatabaseSync(databaseFile, { readOnly: true })
  const orders = database.prepare(
    'select id, note, state, placed_at as placedAt, due_at as dueAt from orders order by placed_at desc, rowid desc limit 48',
  )
  const totals = database.prepare('select state, count(*) as n from orders group by state')
  const stock = database.prepare(
    "select free, total, (select count(*) from reservations) as reserved from stock where item = 'lamp'",
  )
  const story = database.prepare(
    'select seq, order_id as orderId, at, what, detail from story where seq > ? order by seq limit 500',
  )
  // A page that opens late is not told of what has scrolled away.
  const oldest = database.prepare('select max(0, coalesce(max(seq), 0) - 2000) as seq from story')
  const has = database.prepare('select 1 from orders where id = ?')
  const count = database.prepare('select count(*) as n from orders')
  const backlog = backlogs(broker)
  return {
    has: (id: string): boolean => has.get(id) !== undefined,
    count: (): number => Number(count.get()?.['n']),
    state: (since: number) => ({
      now: Date.now(),
      broker: broker.name,
      timeoutMs,
      orders: orders.all(),
      totals: Object.fromEntries(totals.all().map(({ state, n }) => [String(state), n])),
      stock: stock.get(),
      backlog: backlog(),
      story: story.all(Math.max(since, Number(oldest.get()?.['seq']))),
    }),
  }
}

/** How many messages wait for each group, asked once a second while somebody looks. */
function backlogs(broker: Broker): () => readonly { readonly name: string; readonly backlog: number }[] {
  let known: readonly { readonly name: string; readonly backlog: number }[] = []
  let askedAt = 0
  const ask = async ([topic, group]: (typeof subscriptions)[number]) => ({
    name: `${topic.name} → ${group}`,
    backlog: (await broker.lag(topic, { group })).backlog,
  })
  return () => {
    if (Date.now() - askedAt > 1_000) {
      askedAt = Date.now()
      Promise.all(subscriptions.map(ask)).then(
        (fresh) => {
          known = fresh
        },
        () => {}, // The broker is away; the page says so by numbers that stand still.
      )
    }
    return known
  }
}
