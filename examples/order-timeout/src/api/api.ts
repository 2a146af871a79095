import { readFileSync } from 'node:fs'
import { tokens } from '@posthorn/inversify'
import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import { secureHeaders } from 'hono/secure-headers'
import type { Container } from 'inversify'
import { buttons } from '../demo/buttons.ts'
import { PlaceOrder } from '../shop/orders.ts'
import { PayOrder } from '../shop/payments.ts'
import { tell } from '../shop/tables.ts'
import { asked } from './asked.ts'
import { deadLetters } from './dead-letters.ts'
import { reading } from './reading.ts'

const pages = [
  ['/', 'index.html', 'text/html'],
  ['/page.css', 'page.css', 'text/css'],
  ['/page.js', 'page.js', 'text/javascript'],
  ['/card.js', 'card.js', 'text/javascript'],
] as const

/** The page and what it asks for. */
export function api(container: Container): Hono {
  const broker = container.get(tokens.broker)
  const read = reading(broker)
  const app = new Hono()
  app.use(csrf(), secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'self'"], imgSrc: ["'self'", 'data:'] } }))
  app.onError((error, context) => context.json({ error: error.message }, 500))
  for (const [path, file, type] of pages) {
    const text = readFileSync(new URL(`../../page/${file}`, import.meta.url), 'utf8')
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
  app.route('/dead-letters', deadLetters(broker))
  app.route('/', buttons(broker, read.has))
  return app
}
