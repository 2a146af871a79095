import { bindConsumer, posthornModule, tokens } from '@posthorn/inversify'
import { Container, type ServiceIdentifier } from 'inversify'
import { type Broker, type ConsumeOptions, exponential, retry, type Topic } from 'posthorn'
import { breakNext, mortal } from './breakage.ts'
import { orderEvents, payments, refunds, timeouts } from './messages.ts'
import { Notice } from './notices.ts'
import { OrderPaid, OrderTimedOut, PlaceOrder } from './orders.ts'
import { PaymentService, PayOrder, Refunding } from './payments.ts'
import type { Service } from './service.ts'
import { StockKeeper } from './stock.ts'
import { watching } from './watching.ts'

/** The composition root: every class is bound here, by a function, and nowhere else. */
export function compose(broker: Broker): Container {
  const container = new Container()
  container.load(posthornModule(broker))
  container.bind(PaymentService).toResolvedValue((store) => new PaymentService(store), [tokens.store])
  container
    .bind(PlaceOrder)
    .toResolvedValue((store, producer) => new PlaceOrder(store, producer), [tokens.store, tokens.producer])
  container
    .bind(PayOrder)
    .toResolvedValue((producer, service) => new PayOrder(producer, service), [tokens.producer, PaymentService])
  return container
}

/** The services that listen. Each handles with an inbox, so a message that comes twice has one effect. */
export function consumers(container: Container, broker: Broker): void {
  const watch = watching(broker)
  const producer = container.get(tokens.producer)
  const policy = {
    guarantee: 'exactly-once-effects',
    use: [watch.extension, retry({ attempts: 4, backoff: exponential({ firstMs: 200, maxMs: 5_000 }) })],
  } satisfies Partial<ConsumeOptions>
  const bind = <T>(topic: Topic<never, T>, group: string, make: () => Service<T>, order: 'key' | 'none' = 'key') => {
    const id: ServiceIdentifier<Service<T>> = Symbol(`${group} of ${topic.name}`)
    container
      .bind(id)
      .toDynamicValue(() => watch.seeing(mortal(make())))
      .inTransientScope()
    bindConsumer(container, topic, { ...policy, group, order }, id)
  }
  bind(orderEvents, 'stock', () => new StockKeeper())
  bind(orderEvents, 'mail', () => new Notice('mail'))
  bind(orderEvents, 'sms', () => new Notice('sms'))
  bind(payments, 'orders', () => new OrderPaid(producer))
  bind(timeouts, 'orders', () => new OrderTimedOut(producer), 'none')
  bind(refunds, 'payments', () => new Refunding(), 'none')
  process.on('message', ({ breaks, count }: { breaks?: 'kill' | 'sms'; count: number }) => {
    if (breaks !== undefined) breakNext(breaks, count)
  })
}
