import { bindConsumer, type Handler, posthornModule, tokens } from '@posthorn/inversify'
import { Container, type ServiceIdentifier } from 'inversify'
import { type Broker, type ConsumeOptions, exponential, retry, type Source } from 'posthorn'
import { orderEvents, payments, refunds, timeouts } from './messages.ts'
import { Notice } from './notices.ts'
import { OrderPaid, OrderTimedOut, PlaceOrder } from './orders.ts'
import { PaymentService, PayOrder, Refunding } from './payments.ts'
import { StockKeeper } from './stock.ts'
import { watching } from './watching.ts'

/** The composition root: every class is bound here, by a function, and nowhere else. */
export function compose(broker: Broker): Container {
  const container = new Container()
  container.load(posthornModule(broker))
  container
    .bind(PaymentService)
    .toResolvedValue((store) => new PaymentService(store), [tokens.store])
    .inSingletonScope()
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
  const bind = <S extends Source>(
    source: S,
    group: string,
    make: () => Handler<never>,
    options: Partial<ConsumeOptions> = {},
  ): void => {
    const id: ServiceIdentifier<Handler<never>> = Symbol(`${group} of ${'name' in source ? source.name : ''}`)
    const seen = (handler: Handler<never>): Handler<never> => ({
      handle: (delivery) => {
        watch.ran(group, (delivery as { readonly id: string }).id)
        return handler.handle(delivery)
      },
    })
    container
      .bind(id)
      .toDynamicValue(() => seen(make()))
      .inTransientScope()
    const use = [watch, retry({ attempts: 4, backoff: exponential({ firstMs: 200, maxMs: 5_000 }) })]
    bindConsumer(
      container,
      source,
      { group, guarantee: 'exactly-once-effects', use, ...options } as ConsumeOptions,
      id as never,
    )
  }
  const producer = () => container.get(tokens.producer)
  bind(orderEvents, 'stock', () => new StockKeeper(), { order: 'key' })
  bind(orderEvents, 'mail', () => new Notice('mail'), { order: 'key' })
  bind(orderEvents, 'sms', () => new Notice('sms'), { order: 'key' })
  bind(payments, 'orders', () => new OrderPaid(producer()), { order: 'key' })
  bind(timeouts, 'orders', () => new OrderTimedOut(producer()))
  bind(refunds, 'payments', () => new Refunding())
}
