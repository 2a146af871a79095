import type { Handler } from '@posthorn/inversify'
import type { Delivery } from 'posthorn'
import type { OrderEvent } from './messages.ts'
import { takeKnob, tell } from './tables.ts'

/** Reserves a lamp when an order is placed, gives it back when it is cancelled; the inbox row is in the same commit. */
export class StockKeeper implements Handler<OrderEvent> {
  async handle({ body: { orderId, what }, tx }: Delivery<OrderEvent>): Promise<void> {
    if (tx === undefined) throw new Error('needs the inbox’s transaction')
    if (what === 'placed') {
      await tx.query("update stock set free = free - 1 where item = 'lamp'")
      await tx.query('insert into reservations values ($1)', [orderId])
      await tell(tx, orderId, 'handled', 'stock reserved')
    }
    if (what === 'cancelled') {
      const { rows } = await tx.query('delete from reservations where order_id = $1 returning order_id', [orderId])
      if (rows.length > 0) await tx.query("update stock set free = free + 1 where item = 'lamp'")
      await tell(tx, orderId, 'handled', 'stock given back')
    }
    // The button on the page: everything above is written and nothing committed when the process dies.
    if (await takeKnob(tx, 'kill')) process.kill(process.pid, 'SIGKILL')
  }
}
