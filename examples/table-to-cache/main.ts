// Table to cache: every change of a row is a message under the row's key, so the cache sees each row's changes in order.
// The row and its message are one transaction: the cache never learns of a change that was rolled back, and misses none.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, topic } from 'posthorn'

const store = `sqlite:${join(mkdtempSync(join(tmpdir(), 'table-to-cache-')), 'app.db')}`
const broker = await connect({ url: process.env['BROKER_URL'] ?? store, store, singleHost: true, log: false })
const prices = topic<{ item: string; cents: number; version: number }>(`prices.${Date.now().toString(36)}`, {
  key: (price) => price.item,
  groups: ['cache'],
})
const producer = broker.producer()
const items = ['lamp', 'chair', 'table']
const changes = 10

// The cache: a map here, Redis elsewhere. Out of order would be a version that goes back.
const cache = new Map<string, { cents: number; version: number }>()
const done = Promise.withResolvers<void>()
let seen = 0
await broker.consume(prices, { group: 'cache', order: 'key', concurrency: 8 }, async ({ body: { item, ...price } }) => {
  const before = cache.get(item)?.version ?? 0
  if (price.version !== before + 1) throw new Error(`${item}: version ${price.version} after ${before}`)
  cache.set(item, price)
  if (++seen === items.length * changes) done.resolve()
})

await broker.store.transaction(async (tx) => {
  await tx.query('create table price (item text primary key, cents integer not null, version integer not null)')
  for (const item of items) await tx.query('insert into price values ($1, 1000, 0)', [item])
})
for (let round = 1; round <= changes; round++)
  for (const item of items)
    await broker.store.transaction(async (tx) => {
      const { rows } = await tx.query(
        'update price set cents = cents + $2, version = version + 1 where item = $1 returning cents, version',
        [item, round],
      )
      const { cents, version } = rows[0] as { cents: number; version: number }
      await producer.send(prices, { item, cents, version }, { tx })
    })
await done.promise

const { rows } = await broker.store.transaction((tx) => tx.query('select item, cents from price order by item'))
for (const { item, cents } of rows) console.log(`${item}: table ${cents}, cache ${cache.get(String(item))?.cents}`)
const same = rows.every(({ item, cents }) => cache.get(String(item))?.cents === cents)
console.log(same ? 'table and cache agree' : 'table and cache differ')
await broker.close()
