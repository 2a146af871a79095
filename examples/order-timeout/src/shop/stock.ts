import type { OrderEvent } from './messages.ts'
import type { Service } from './service.ts'
import { tell } from './tables.ts'

/** Reserves a lamp when an order is placed, gives it back when it is cancelled. */
export const stockKeeper: Service<OrderEvent> = {
  async handle({ body: { orderId, what }, tx }) {
    if (what === 'placed') {
      await tx.query("update stock set free = free - 1 where item = 'lamp'")
      await tx.query('insert into reservations values ($1)', [orderId])
      await tell(tx, orderId, 'handled', 'stock: reserved')
    }
    if (what === 'cancelled') {
      const { rows } = await tx.query('delete from reservations where order_id = $1 returning order_id', [orderId])
      if (rows.length === 0) return
      await tx.query("update stock set free = free + 1 where item = 'lamp'")
      await tell(tx, orderId, 'handled', 'stock: given back')
    }
  },
}
