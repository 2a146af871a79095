// The page and its API.
import { readFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { compose } from './src/composition.ts'
import { open } from './src/connection.ts'
import { orderEvents, payments, refunds, timeouts } from './src/messages.ts'
import { PlaceOrder } from './src/orders.ts'
import { answerForHalves, PaymentService, PayOrder } from './src/payments.ts'
import { databaseFile, port, timeoutMs } from './src/settings.ts'
import { makeTables, startingStock, tell } from './src/tables.ts'
import { orderOf } from './src/watching.ts'

const broker = await open()
await makeTables(broker)
const container = compose(broker)
answerForHalves(broker, container.get(PaymentService))
// What the page shows is read beside the writers, by a handle of its own.
const read = new DatabaseSync(databaseFile, { readOnly: true })
const groups = [
  [orderEvents, 'stock'],
  [orderEvents, 'mail'],
  [orderEvents, 'sms'],
  [payments, 'orders'],
  [timeouts, 'orders'],
  [refunds, 'payments'],
] as const
const turns = ['kill', 'fail', 'sms-down']

const app = new Hono()
app.onError((error, context) => context.json({ error: error.message }, 500))
app.get('/', async (context) => context.html(await readFile(new URL('page/index.html', import.meta.url), 'utf8')))
app.get('/page/:file{page\\.(css|js)}', async (context) => {
  const file = context.req.param('file')
  const type = file.endsWith('css') ? 'text/css' : 'text/javascript'
  return context.body(await readFile(new URL(`page/${file}`, import.meta.url), 'utf8'), 200, {
    'content-type': `${type}; charset=utf-8`,
  })
})

let placed = Number((read.prepare('select count(*) as n from orders').get() as { n: number }).n)
app.post('/orders', async (context) => {
  const { count = 1 } = await context.req.json<{ count?: number }>().catch(() => ({}) as { count?: number })
  if (!Number.isInteger(count) || count < 1 || count > 500)
    return context.json({ error: 'count: a whole number from 1 to 500' }, 400)
  const service = container.get(PlaceOrder)
  const ids = Array.from(
    { length: count },
    () => `${Date.now().toString(36)}${(++placed).toString(36).padStart(3, '0')}`,
  )
  for (const id of ids) await service.place(id)
  return context.json({ ids }, 201)
})
app.post('/orders/:id/pay', async (context) => {
  const id = context.req.param('id')
  if (read.prepare('select 1 from orders where id = ?').get(id) === undefined)
    return context.json({ error: `there is no order ${id}` }, 404)
  try {
    await container.get(PayOrder).pay(id)
    return context.json({ paid: id })
  } catch (error) {
    return context.json({ error: (error as Error).message }, 402)
  }
})
/** The same message again, as a broker delivers it after a lost acknowledgement. */
app.post('/orders/:id/again', async (context) => {
  const orderId = context.req.param('id')
  await broker.producer().send(orderEvents, { orderId, what: 'placed' }, { id: `placed-${orderId}` })
  await broker.store.transaction((tx) => tell(tx, orderId, 'sent', 'the same message a second time'))
  return context.json({ sent: orderId })
})
app.post('/break/:what', async (context) => {
  const what = context.req.param('what')
  const { count = 1 } = await context.req.json<{ count?: number }>().catch(() => ({}) as { count?: number })
  if (what === 'hold') process.send?.({ hold: 10_000 })
  else if (turns.includes(what))
    await broker.store.transaction((tx) =>
      tx.query('insert into knobs values ($1, $2) on conflict (name) do update set value = excluded.value', [
        what,
        count,
      ]),
    )
  else return context.json({ error: `there is no button ${what}` }, 404)
  return context.json({ turned: what })
})
app.get('/dead-letters', async (context) => {
  const out = []
  for (const [topic, group] of groups)
    for await (const letter of broker.deadLetters(topic, { group }).list({ limit: 50 }))
      out.push({
        topic: topic.name,
        group,
        id: letter.id,
        order: orderOf(letter.id),
        reason: letter.reason,
        error: letter.error,
        attempts: letter.attempts,
      })
  return context.json(out)
})
app.post('/dead-letters/redrive', async (context) => {
  const sum = { matched: 0, redriven: 0, failed: 0 }
  for (const [topic, group] of groups) {
    const ids: string[] = []
    const count = await broker.deadLetters(topic, { group }).redrive({ where: (letter) => ids.push(letter.id) > 0 })
    for (const key of ['matched', 'redriven', 'failed'] as const) sum[key] += count[key]
    await broker.store.transaction(async (tx) => {
      for (const id of ids) await tell(tx, orderOf(id), 'redriven', group)
    })
  }
  return context.json(sum)
})

const orders = read.prepare(
  'select id, state, placed_at as placedAt, due_at as dueAt from orders order by placed_at desc, id desc limit 60',
)
const totals = read.prepare('select state, count(*) as n from orders group by state')
const stock = read.prepare("select free from stock where item = 'lamp'")
const reserved = read.prepare('select count(*) as n from reservations')
const story = read.prepare(
  'select seq, order_id as orderId, at, what, detail from story where seq > ? order by seq limit 500',
)
let lags: { readonly name: string; readonly backlog: number }[] = []
const measure = setInterval(async () => {
  lags = await Promise.all(
    groups.map(async ([topic, group]) => ({
      name: `${topic.name} → ${group}`,
      backlog: (await broker.lag(topic, { group })).backlog,
    })),
  ).catch(() => lags)
}, 1_000)
app.get('/state', (context) =>
  context.json({
    now: Date.now(),
    broker: broker.name,
    timeoutMs,
    orders: orders.all(),
    totals: Object.fromEntries(totals.all().map((row) => [row['state'], row['n']])),
    stock: { free: stock.get()?.['free'], reserved: reserved.get()?.['n'], all: startingStock },
    lags,
    story: story.all(Number(context.req.query('since') ?? 0)),
  }),
)

const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port }, (address) =>
  process.send?.({ ready: 'web', url: `http://127.0.0.1:${address.port}/` }),
)
const end = (): void => {
  clearInterval(measure)
  server.close()
  broker.close({ drainMs: 2_000 }).finally(() => process.exit(0))
}
process.once('SIGTERM', end)
process.once('disconnect', end)
