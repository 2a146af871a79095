// Outbox: a row and the message about it, both or neither. One transaction commits, one is rolled back; only the first is heard of.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, topic } from 'posthorn'

const store = `sqlite:${join(mkdtempSync(join(tmpdir(), 'outbox-')), 'app.db')}`
// Where the broker is another one, a relay carries the outbox there; where the file is the broker, the commit is the sending.
const broker = await connect({ url: process.env['BROKER_URL'] ?? store, store, singleHost: true, log: false })
const placed = topic<{ orderId: string }>(`orders.placed.${Date.now().toString(36)}`, {
  key: (order) => order.orderId,
  groups: ['stock'],
})
const producer = broker.producer()
await broker.store.transaction((tx) => tx.query('create table orders (id text primary key)'))

const heard: string[] = []
const done = Promise.withResolvers<void>()
await broker.consume(placed, { group: 'stock' }, async ({ body }) => {
  console.log(`stock heard of order ${body.orderId}`)
  if (heard.push(body.orderId) === 2) done.resolve()
})

/** Places an order; with `fails`, something after the send goes wrong. */
const place = (orderId: string, fails = false): Promise<void> =>
  broker.store.transaction(async (tx) => {
    await tx.query('insert into orders values ($1)', [orderId])
    const receipt = await producer.send(placed, { orderId }, { tx })
    if (fails) throw new Error(`order ${orderId} is rolled back`)
    console.log(`order ${orderId} is written, its message is held: ${receipt.held}`)
  })

await place('1')
await place('2', true).catch((error: Error) => console.log(error.message))
await place('3')
await done.promise

const { rows } = await broker.store.transaction((tx) => tx.query('select id from orders order by id'))
console.log(`orders in the table: ${rows.map((row) => row['id']).join(', ')}`)
console.log(`orders heard of: ${heard.toSorted().join(', ')}`)
await broker.close()
