import { type Broker, type ConsumeExtension, connectAdapter, type Delivery, topic } from '@posthorn/core'
import { type MemoryClient, memory } from '@posthorn/memory'
import { Container } from 'inversify'
import { describe, expect, it } from 'vitest'
import { bindConsumer, bindConsumers, consumer, type Handler, posthornModule, startConsumers, tokens } from './index.ts'

const orders = topic<{ n: number }>('orders', { groups: ['g'] })
const connect = () => connectAdapter(memory({ clock: 'manual' }), { log: false }) as Promise<Broker>
const idle = (broker: Broker) => (broker.driver.client as MemoryClient).advance(1_000)

interface Log {
  readonly lines: string[]
}
const LogId = Symbol.for('log')

class Billing implements Handler<{ n: number }> {
  static made = 0
  readonly #delivery: Delivery
  readonly #log: Log
  constructor(delivery: Delivery, log: Log) {
    Billing.made++
    this.#delivery = delivery
    this.#log = log
  }
  async handle({ body, id }: Delivery<{ n: number }>): Promise<void> {
    expect(this.#delivery.id).toBe(id)
    this.#log.lines.push(`billed ${body.n}`)
  }
}

async function application() {
  const broker = await connect()
  const container = new Container()
  const log: Log = { lines: [] }
  container.load(posthornModule(broker))
  container.bind(LogId).toConstantValue(log)
  container
    .bind(Billing)
    .toResolvedValue((delivery, logged) => new Billing(delivery, logged as Log), [tokens.delivery, LogId])
    .inTransientScope()
  return { broker, container, log }
}

describe('posthorn in a container', () => {
  it('makes a handler per message with the delivery injected, and drains on stop', async () => {
    const { broker, container, log } = await application()
    bindConsumer(container, orders, { group: 'g' }, Billing)
    const running = await startConsumers(container)
    Billing.made = 0
    for (const n of [1, 2, 3]) await container.get(tokens.producer).send(orders, { n })
    await idle(broker)
    expect(log.lines).toEqual(['billed 1', 'billed 2', 'billed 3'])
    expect(Billing.made).toBe(3)
    await running.stop()
    await expect(container.get(tokens.producer).send(orders, { n: 4 })).rejects.toMatchObject({ code: 'closed' })
  })

  it('starts again after a stop, in a fresh container', async () => {
    for (let round = 0; round < 2; round++) {
      const { broker, container, log } = await application()
      bindConsumer(container, orders, { group: 'g' }, Billing)
      await using running = await startConsumers(container)
      await container.get(tokens.producer).send(orders, { n: round })
      await idle(broker)
      expect(log.lines).toEqual([`billed ${round}`])
      expect(running.consumers.length).toBe(1)
    }
  })

  it('stops when what is in hand has ended, and what came meanwhile is handled after a restart', async () => {
    const begun = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    const seen: number[] = []
    class Slow implements Handler<{ n: number }> {
      async handle({ body }: Delivery<{ n: number }>): Promise<void> {
        begun.resolve()
        await end.promise
        seen.push(body.n)
      }
    }
    const start = async () => {
      const broker = (await connectAdapter(memory({ log: 'inversify-restart' }), { log: false })) as Broker
      const container = new Container()
      container.load(posthornModule(broker))
      container.bind(Slow).toSelf().inTransientScope()
      bindConsumer(container, orders, { group: 'g', window: 1 }, Slow)
      return { broker, running: await startConsumers(container) }
    }
    const first = await start()
    await first.broker.producer().send(orders, { n: 1 })
    await begun.promise
    await first.broker.producer().send(orders, { n: 2 })
    let stopped = false
    const stop = first.running.stop().then(() => {
      stopped = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect([stopped, seen]).toEqual([false, []])
    end.resolve()
    await stop
    expect(seen).toEqual([1])
    const second = await start()
    await expect.poll(() => seen).toEqual([1, 2])
    await second.running.stop()
  })

  it('injects the transaction of each message, which is its inbox row', async () => {
    const broker = (await connectAdapter(memory(), { log: false })) as Broker
    const container = new Container()
    container.load(posthornModule(broker))
    const Ledger = Symbol.for('ledger')
    const seen: boolean[] = []
    container
      .bind<Handler>(Ledger)
      .toResolvedValue(
        (tx) => ({ handle: async (delivery) => void seen.push(tx === delivery.tx) }),
        [tokens.transaction],
      )
      .inTransientScope()
    // Stands for idempotent(), which is of another floor.
    const inTransaction: ConsumeExtension = {
      consume: (next) => (delivery) => broker.store.transaction((tx) => next({ ...delivery, tx })),
    }
    bindConsumer(container, orders, { group: 'g', use: [inTransaction] }, Ledger)
    await using _running = await startConsumers(container)
    for (const n of [1, 2]) await container.get(tokens.producer).send(orders, { n })
    await expect.poll(() => seen).toEqual([true, true])
  })

  it('gives each message its own scope', async () => {
    const { broker, container } = await application()
    const Tenant = Symbol.for('tenant')
    const seen: string[] = []
    const Scoped = Symbol.for('scoped')
    container
      .bind<Handler>(Scoped)
      .toResolvedValue((tenant) => ({ handle: async () => void seen.push(tenant as string) }), [Tenant])
      .inTransientScope()
    bindConsumer(container, orders, { group: 'g', concurrency: 4 }, Scoped)
    await using _running = await startConsumers(container, {
      scope: (child, delivery) => void child.bind(Tenant).toConstantValue(delivery.headers['tenant'] ?? 'none'),
    })
    for (const tenant of ['a', 'b', 'c']) await broker.producer().send(orders, { n: 1 }, { headers: { tenant } })
    await idle(broker)
    expect(seen.sort()).toEqual(['a', 'b', 'c'])
  })

  it('fails at start, naming what is missing, when a handler cannot be made', async () => {
    const { broker, container } = await application()
    container.unbind(LogId)
    bindConsumer(container, orders, { group: 'g' }, Billing)
    await expect(startConsumers(container)).rejects.toThrow(/handler of orders cannot be made[\s\S]*log/)
    container.bind(Symbol.for('odd')).toConstantValue({})
    await broker.close()
  })

  it('begins with all at once, and stops those that began where one is refused', async () => {
    const { broker } = await application()
    let begun = 0
    const all = Promise.withResolvers<void>()
    const container = new Container()
    container.load(
      posthornModule({
        ...broker,
        // None has what it asked for before the last has asked.
        consume: (async (...asked: Parameters<Broker['consume']>) => {
          const consumer = broker.consume(...asked)
          if (++begun === 3) all.resolve()
          await all.promise
          return consumer
        }) as Broker['consume'],
      }),
    )
    const Counting = Symbol.for('counting')
    let handled = 0
    container.bind<Handler>(Counting).toConstantValue({ handle: async () => void handled++ })
    for (const group of ['a', '', 'c']) bindConsumer(container, orders, { group }, Counting)
    await expect(startConsumers(container)).rejects.toMatchObject({ code: 'invalid' })
    await broker.producer().send(orders, { n: 7 })
    await idle(broker)
    expect(handled).toBe(0)
    await broker.close()
  })

  it('takes classes marked by @consumer; one that is not marked is refused', async () => {
    const { broker, container, log } = await application()
    consumer(orders, { group: 'g' })(Billing)
    bindConsumers(container, Billing)
    await using _running = await startConsumers(container)
    await broker.producer().send(orders, { n: 7 })
    await idle(broker)
    expect(log.lines).toEqual(['billed 7'])
    class Unmarked implements Handler {
      async handle(): Promise<void> {}
    }
    expect(() => bindConsumers(container, Unmarked)).toThrow(/@consumer/)
  })
})
