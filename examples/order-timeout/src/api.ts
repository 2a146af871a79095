import { readFileSync } from 'node:fs'
import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import { secureHeaders } from 'hono/secure-headers'
import type { Container } from 'inversify'
import type { Broker } from 'posthorn'
import { breakNext } from './breakage.ts'
import { idOf, orderEvents, orderOf, subscriptions } from './messages.ts'
import { PlaceOrder } from './orders.ts'
import { PayOrder } from './payments.ts'
import { reading } from './reading.ts'
import { tell } from './tables.ts'

interface Asked {
  readonly count: number
  readonly note: string
  readonly id: string | undefined
}

const pages = [
  ['/', 'index.html', 'text/html'],
  ['/page.css', 'page.css', 'text/css'],
  ['/page.js', 'page.js', 'text/javascript'],
  ['/card.js', 'card.js', 'text/javascript'],
] as const

/** The page and what it asks for. */
export function api(broker: Broker, container: Container): Hono {
  const read = reading(broker)
  const app = new Hono()
  app.use(csrf(), secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'self'"], imgSrc: ["'self'", 'data:'] } }))
  app.onError((error, context) => context.json({ error: error.message }, 500))
  for (const [path, file, type] of pages) {
    const text = readFileSync(new URL(`../page/${file}`, import.meta.url), 'utf8')
    app.get(path, (context) => context.body(text, 200, { 'content-type': `${type}; charset=utf-8` }))
  }
  app.get('/state', (context) => context.json(read.state(Number(context.req.query('since') ?? 0))))

  const run = Math.random().toString(36).slice(2, 5)
  let placed = read.count()
  app.post('/orders', async (context) => {
    const { count, note } = await asked(context.req.raw)
    if (!Number.isInteger(count) || count < 1 || count > 500)
      return context.json({ error: 'count: a whole number from 1 to 500' }, 400)
    const ids = Array.from({ length: count }, () => `${run}-${++placed}`)
    for (const id of ids) await container.get(PlaceOrder).place(id, note)
    return context.json({ ids }, 201)
  })
  app.post('/orders/:id/pay', async (context) => {
    const id = context.req.param('id')
    if (!read.has(id)) return context.json({ error: `there is no order ${id}` }, 404)
    try {
      await container.get(PayOrder).pay(id)
      return context.json({ paid: id })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      await broker.store.transaction((tx) => tell(tx, id, 'payment failed', why))
      return context.json({ error: `${id}: ${why}` }, 402)
    }
  })
  breaking(app, broker, read.has)
  deadLetters(app, broker)
  return app
}

/** The buttons that break things. */
function breaking(app: Hono, broker: Broker, has: (id: string) => boolean): void {
  /** The same message again, as a broker delivers it after a lost acknowledgement. */
  app.post('/orders/:id/again', async (context) => {
    const orderId = context.req.param('id')
    if (!has(orderId)) return context.json({ error: `there is no order ${orderId}` }, 404)
    await broker.store.transaction((tx) => tell(tx, orderId, 'sent', 'placed, a second time'))
    await broker.producer().send(orderEvents, { orderId, what: 'placed' }, { id: idOf('placed', orderId) })
    return context.json({ sent: orderId })
  })
  app.post('/break/:what', async (context) => {
    const what = context.req.param('what')
    const { count } = await asked(context.req.raw)
    if (what === 'payments') breakNext(what, count)
    else if (what === 'kill' || what === 'sms') process.send?.({ to: 'worker', breaks: what, count })
    else if (what === 'hold') process.send?.({ hold: 10_000 })
    else return context.json({ error: `there is no button ${what}` }, 404)
    return context.json({ broken: what })
  })
  process.on('message', ({ died, detail }: { died?: string; detail?: string }) => {
    if (died !== undefined) void broker.store.transaction((tx) => tell(tx, died, 'worker killed', detail))
  })
}

function deadLetters(app: Hono, broker: Broker): void {
  app.get('/dead-letters', async (context) => {
    const all = []
    for (const [topic, group] of subscriptions)
      for await (const { id, reason, error, attempts, body } of broker
        .deadLetters(topic, { group })
        .list({ limit: 50 }))
        all.push({ topic: topic.name, group, id, order: orderOf(id), reason, error, attempts, body })
    return context.json(all)
  })
  /** One of them by its id, or all. */
  app.post('/dead-letters/redrive', async (context) => {
    const { id: only } = await asked(context.req.raw)
    const sum = { matched: 0, redriven: 0 }
    for (const [topic, group] of subscriptions) {
      const dead = broker.deadLetters(topic, { group })
      const ids: string[] = []
      for await (const { id } of dead.list({ where: ({ id }) => only === undefined || id === only })) ids.push(id)
      if (ids.length === 0) continue
      await broker.store.transaction(async (tx) => {
        for (const id of ids) await tell(tx, orderOf(id), 'redriven', group)
      })
      const { matched, redriven } = await dead.redrive({ where: ({ id }) => ids.includes(id) })
      sum.matched += matched
      sum.redriven += redriven
    }
    return context.json(sum)
  })
}

async function asked(request: Request): Promise<Asked> {
  const body = ((await request.json().catch(() => undefined)) ?? {}) as Record<string, unknown>
  const { count = 1, note = '', id } = body
  return {
    count: typeof count === 'number' ? count : Number.NaN,
    note: String(note).slice(0, 200),
    id: typeof id === 'string' ? id : undefined,
  }
}
