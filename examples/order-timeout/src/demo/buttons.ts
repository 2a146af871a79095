import { Hono } from 'hono'
import type { Broker } from 'posthorn'
import { asked } from '../api/asked.ts'
import { idOf, orderEvents } from '../shop/messages.ts'
import { tell } from '../shop/tables.ts'
import { breakNext } from './breakage.ts'

/** The buttons that break things. */
export function buttons(broker: Broker, has: (orderId: string) => boolean): Hono {
  const app = new Hono()
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
  return app
}
