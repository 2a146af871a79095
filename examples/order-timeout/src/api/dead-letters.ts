import { Hono } from 'hono'
import type { Broker } from 'posthorn'
import { orderOf, subscriptions } from '../shop/messages.ts'
import { tell } from '../shop/tables.ts'
import { asked } from './asked.ts'

/** What was put aside after its last try: read it, and drive it again when its cause is mended. */
export function deadLetters(broker: Broker): Hono {
  const app = new Hono()
  const shelves = subscriptions.map(([topic, group]) => ({ topic, group, dead: broker.deadLetters(topic, { group }) }))
  app.get('/', async (context) => {
    const all = []
    for (const { topic, group, dead } of shelves)
      for await (const { id, reason, error, attempts, body } of dead.list({ limit: 50 }))
        all.push({ topic: topic.name, group, id, order: orderOf(id), reason, error, attempts, body })
    return context.json(all)
  })
  /** One of them by its id, or all. */
  app.post('/redrive', async (context) => {
    const { id: only } = await asked(context.req.raw)
    const sum = { matched: 0, redriven: 0 }
    for (const { group, dead } of shelves) {
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
  return app
}
