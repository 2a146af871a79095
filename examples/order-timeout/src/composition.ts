import { bindConsumer, posthornModule, tokens } from '@posthorn/inversify'
import { Container, type ServiceIdentifier } from 'inversify'
import { type ConsumeOptions, connect, exponential, retry, type Topic } from 'posthorn'
import { mortal } from './demo/breakage.ts'
import { watching } from './demo/watching.ts'
import { brokerUrl, databaseUrl, namespace } from './settings.ts'
import { orderEvents, payments, refunds, timeouts } from './shop/messages.ts'
import { notice } from './shop/notices.ts'
import { orderPaid, orderTimedOut, PlaceOrder } from './shop/orders.ts'
import { answerForHalves, PaymentService, PayOrder, refunding } from './shop/payments.ts'
import type { Service } from './shop/service.ts'
import { stockKeeper } from './shop/stock.ts'
import { makeTables } from './shop/tables.ts'

/** The line that names the broker. The orders' database is its store: outbox, inbox and tables share each commit. */
const configuration =
  brokerUrl === databaseUrl ? { url: databaseUrl } : { url: brokerUrl, store: databaseUrl, singleHost: true, namespace }

/** The composition root: every class is bound here, by a function, and nowhere else. */
export async function compose(): Promise<Container> {
  const broker = await connect(configuration)
  await makeTables(broker)
  const container = new Container()
  const { store, producer } = tokens
  container.load(posthornModule(broker))
  container.bind(PaymentService).toResolvedValue((store) => new PaymentService(store), [store])
  container.bind(PlaceOrder).toResolvedValue((...given) => new PlaceOrder(...given), [store, producer])
  container.bind(PayOrder).toResolvedValue((...given) => new PayOrder(...given), [producer, PaymentService])
  answerForHalves(broker, container.get(PaymentService))
  return container
}

/** The services that listen. Each handles with an inbox, so a message that comes twice has one effect. */
export function listen(container: Container): void {
  const watch = watching(container.get(tokens.broker))
  const producer = container.get(tokens.producer)
  const policy = {
    guarantee: 'exactly-once-effects',
    use: [watch.extension, retry({ attempts: 4, backoff: exponential({ firstMs: 200, maxMs: 5_000 }) })],
  } satisfies Partial<ConsumeOptions>
  const bind = <T>(topic: Topic<never, T>, group: string, service: Service<T>, order: 'key' | 'none' = 'key'): void => {
    const id: ServiceIdentifier<Service<T>> = Symbol(`${group} of ${topic.name}`)
    container.bind(id).toConstantValue(watch.seeing(mortal(service)))
    bindConsumer(container, topic, { ...policy, group, order }, id)
  }
  bind(orderEvents, 'stock', stockKeeper)
  bind(orderEvents, 'mail', notice('mail'))
  bind(orderEvents, 'sms', notice('sms'))
  bind(payments, 'orders', orderPaid(producer))
  bind(timeouts, 'orders', orderTimedOut(producer), 'none')
  bind(refunds, 'payments', refunding, 'none')
}
