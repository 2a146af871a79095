import type { Broker, Producer, Store } from 'posthorn'
import { takeBreakage } from '../demo/breakage.ts'
import { type AboutOrder, idOf, payments } from './messages.ts'
import type { Service } from './service.ts'
import { tell } from './tables.ts'

/** Stands for the outside payment service: its own book, its own commits, no transaction with ours. */
export class PaymentService {
  readonly #store: Store
  constructor(store: Store) {
    this.#store = store
  }
  /** Harmless when it is asked twice. */
  async charge(orderId: string): Promise<void> {
    if (takeBreakage('payments')) throw new Error('the payment service said no')
    await this.#store.transaction((tx) =>
      tx.query('insert into charges (order_id) values ($1) on conflict do nothing', [orderId]),
    )
  }
  async charged(orderId: string): Promise<boolean> {
    const { rows } = await this.#store.transaction((tx) =>
      tx.query('select 1 from charges where order_id = $1', [orderId]),
    )
    return rows.length > 0
  }
}

/** Pays by a half message: the event is held until the outside call has ended; if this process dies in between, the check is asked. */
export class PayOrder {
  readonly #producer: Producer
  readonly #service: PaymentService
  constructor(producer: Producer, service: PaymentService) {
    this.#producer = producer
    this.#service = service
  }
  async pay(orderId: string): Promise<void> {
    const id = idOf('payment', orderId)
    await this.#producer.sendHalf(payments, { orderId }, () => this.#service.charge(orderId), { id })
  }
}

/** Answers for payments whose sender vanished: the payment service knows. */
export function answerForHalves(broker: Broker, service: PaymentService): void {
  broker.checkHalf(payments, async ({ body }) => ((await service.charged(body.orderId)) ? 'commit' : 'rollback'))
}

/** Gives money back. */
export const refunding: Service<AboutOrder> = {
  async handle({ body: { orderId }, tx }) {
    await tx.query('update charges set refunded = 1 where order_id = $1', [orderId])
    await tell(tx, orderId, 'refunded')
  },
}
