import type { Handler } from '@posthorn/inversify'
import type { Broker, Delivery, Producer, Store } from 'posthorn'
import { payments } from './messages.ts'
import { takeKnob, tell } from './tables.ts'

/** The outside payment service: its own book, its own commits, no transaction with ours. */
export class PaymentService {
  readonly #store: Store
  constructor(store: Store) {
    this.#store = store
  }
  async charge(orderId: string): Promise<void> {
    await this.#store.transaction(async (tx) => {
      if (await takeKnob(tx, 'fail')) {
        await tell(tx, orderId, 'payment failed', 'the payment service said no')
        return
      }
      await tx.query('insert into charges (order_id) values ($1) on conflict do nothing', [orderId])
    })
    if (!(await this.charged(orderId))) throw new Error('the payment service said no')
  }
  async charged(orderId: string): Promise<boolean> {
    return this.#store.transaction(
      async (tx) => (await tx.query('select 1 from charges where order_id = $1', [orderId])).rows.length > 0,
    )
  }
}

/** Pays by a half message: the event is held until the outside call has ended, and its check is asked if this process dies in between. */
export class PayOrder {
  readonly #producer: Producer
  readonly #service: PaymentService
  constructor(producer: Producer, service: PaymentService) {
    this.#producer = producer
    this.#service = service
  }
  async pay(orderId: string): Promise<void> {
    await this.#producer.sendHalf(payments, { orderId }, () => this.#service.charge(orderId), {
      id: `payment-${orderId}`,
    })
  }
}

/** Answers for payments whose sender vanished: the payment service knows. */
export function answerForHalves(broker: Broker, service: PaymentService): () => void {
  return broker.checkHalf(payments, async ({ body }) => ((await service.charged(body.orderId)) ? 'commit' : 'rollback'))
}

/** Gives money back. */
export class Refunding implements Handler<{ orderId: string }> {
  async handle({ body: { orderId }, tx }: Delivery<{ orderId: string }>): Promise<void> {
    if (tx === undefined) throw new Error('needs the inbox’s transaction')
    await tx.query('update charges set refunded = 1 where order_id = $1', [orderId])
    await tell(tx, orderId, 'refunded')
  }
}
