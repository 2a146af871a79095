// Other libraries over RabbitMQ, each as its documentation shows it: persistent, confirmed, acknowledged after the handler.
import type { Order } from './measuring.ts'
import { peer } from './peers.ts'

/** One of them, connected. */
export interface Peer {
  /** Resolves when the broker has confirmed. */
  send(order: Order): Promise<unknown>
  /** An async handler, and an acknowledgement of each message by itself, as all of them do. */
  consume(handler: (order: Order) => Promise<void>, prefetch: number): Promise<unknown>
  close(): Promise<unknown>
}

/** Opens a peer on a queue that is there. */
export type OpenPeer = (url: string, queue: string) => Promise<Peer>

interface Delivered {
  readonly content: Buffer
}
const parsed = ({ content }: Delivered): Order => JSON.parse(content.toString()) as Order

interface Acm {
  connect(urls: readonly string[]): {
    createChannel(options: object): {
      waitForConnect(): Promise<void>
      publish(exchange: string, key: string, body: unknown, options: object): Promise<unknown>
      consume(queue: string, take: (message: Delivered) => void, options: object): Promise<unknown>
      ack(message: Delivered): void
    }
    close(): Promise<void>
  }
}

/** amqp-connection-manager. */
export const acm: OpenPeer = async (url, queue) => {
  const connection = peer<Acm>('amqp-connection-manager').connect([url])
  const channel = connection.createChannel({ confirm: true, json: true })
  await channel.waitForConnect()
  return {
    send: (order) => channel.publish('', queue, order, { persistent: true }),
    consume(handler, prefetch) {
      const take = async (message: Delivered): Promise<void> => {
        await handler(parsed(message))
        channel.ack(message)
      }
      return channel.consume(queue, (message) => void take(message), { prefetch })
    },
    close: () => connection.close(),
  }
}

interface RabbitmqClient {
  readonly Connection: new (
    url: string,
  ) => {
    createPublisher(options: object): {
      send(envelope: object, body: unknown): Promise<void>
      close(): Promise<void>
    }
    createConsumer(options: object, handler: (message: { readonly body: Order }) => Promise<void>): Started
    close(): Promise<void>
  }
}
interface Started {
  once(event: 'ready', call: () => void): void
  close(): Promise<void>
}

/** rabbitmq-client. */
export const rabbitmqClient: OpenPeer = async (url, queue) => {
  const connection = new (peer<RabbitmqClient>('rabbitmq-client').Connection)(url)
  const publisher = connection.createPublisher({ confirm: true })
  let consumer: Started | undefined
  return {
    send: (order) => publisher.send({ routingKey: queue, durable: true }, order),
    consume(handler, prefetch) {
      const options = { queue, queueOptions: { passive: true }, qos: { prefetchCount: prefetch } }
      const started = connection.createConsumer(options, ({ body }) => handler(body))
      consumer = started
      return new Promise<void>((resolve) => started.once('ready', resolve))
    },
    async close() {
      await consumer?.close()
      await publisher.close()
      await connection.close()
    },
  }
}

interface Golevelup {
  readonly AmqpConnection: new (
    options: object,
  ) => {
    init(): Promise<void>
    publish(exchange: string, key: string, body: unknown, options: object): Promise<unknown>
    createSubscriber(
      handler: (order: Order | undefined) => Promise<void>,
      options: object,
      name: string,
    ): Promise<unknown>
    close(): Promise<void>
  }
}
const silent = { log() {}, error() {}, warn() {}, debug() {}, verbose() {} }

/** @golevelup/nestjs-rabbitmq, its connection alone: without Nest's container around it. */
export const golevelup: OpenPeer = async (url, queue) => {
  peer('reflect-metadata')
  const made = async (prefetchCount: number) => {
    const connection = new (peer<Golevelup>('@golevelup/nestjs-rabbitmq').AmqpConnection)({
      uri: url,
      prefetchCount,
      enableDirectReplyTo: false,
      logger: silent,
    })
    await connection.init()
    return connection
  }
  const connection = await made(500)
  return {
    send: (order) => connection.publish('', queue, order, { persistent: true }),
    consume: (handler) =>
      connection.createSubscriber(
        (order) => handler(order as Order),
        { queue, createQueueIfNotExists: false },
        'handler',
      ),
    close: () => connection.close(),
  }
}

interface Nest {
  readonly ClientRMQ: new (
    options: object,
  ) => {
    connect(): Promise<unknown>
    emit(pattern: string, body: unknown): unknown
    close(): Promise<unknown>
  }
  readonly ServerRMQ: new (
    options: object,
  ) => {
    addHandler(
      pattern: string,
      handler: (body: Order, context: NestContext) => Promise<void>,
      isEvent: boolean,
    ): unknown
    listen(call: (error?: unknown) => void): Promise<void>
    close(): Promise<unknown>
  }
}
interface NestContext {
  getChannelRef(): { ack(message: unknown): void }
  getMessage(): unknown
}

/** @nestjs/microservices, its client and server alone. */
export const nest: OpenPeer = async (url, queue) => {
  peer('reflect-metadata')
  const { ClientRMQ, ServerRMQ } = peer<Nest>('@nestjs/microservices')
  const { lastValueFrom } = peer<{ lastValueFrom(given: unknown): Promise<unknown> }>('rxjs')
  const common = { urls: [url], queue, noAssert: true, persistent: true }
  const client = new ClientRMQ(common)
  await client.connect()
  let server: InstanceType<Nest['ServerRMQ']> | undefined
  return {
    send: (order) => lastValueFrom(client.emit('order', order)),
    consume(handler, prefetchCount) {
      server = new ServerRMQ({ ...common, noAck: false, prefetchCount })
      const take = async (body: Order, context: NestContext): Promise<void> => {
        await handler(body)
        context.getChannelRef().ack(context.getMessage())
      }
      server.addHandler('order', take, true)
      const listening = server
      return new Promise<void>((resolve, reject) => {
        listening
          .listen((error) => (error === undefined || error === null ? resolve() : reject(error as Error)))
          .catch(reject)
      })
    },
    async close() {
      await server?.close()
      await client.close()
    },
  }
}

interface Rascal {
  readonly BrokerAsPromised: {
    create(config: object): Promise<{
      on(event: 'error', call: () => void): void
      publish(name: string, body: unknown): Promise<Publication>
      subscribe(name: string): Promise<{
        on(
          event: 'message',
          call: (message: unknown, content: Order, ackOrNack: () => void) => Promise<void>,
        ): { on(event: 'error', call: () => void): void }
      }>
      shutdown(): Promise<void>
    }>
  }
}
interface Publication {
  on(event: 'success' | 'error' | 'return', call: (reason?: unknown) => void): Publication
}

/** rascal, with a hundred channels to publish on. */
export const rascal: OpenPeer = async (url, queue) => {
  const broker = await peer<Rascal>('rascal').BrokerAsPromised.create({
    vhosts: {
      '/': {
        connection: { url },
        publicationChannelPools: { confirmPool: { max: 100, min: 100 } },
        queues: { [queue]: { assert: false, check: true } },
        publications: { order: { queue, confirm: true, options: { persistent: true } } },
        subscriptions: { order: { queue, prefetch: 500 } },
      },
    },
  })
  broker.on('error', () => {})
  return {
    async send(order) {
      const publication = await broker.publish('order', order)
      await new Promise((resolve, reject) => {
        publication.on('success', resolve).on('error', reject).on('return', reject)
      })
    },
    async consume(handler) {
      const subscription = await broker.subscribe('order')
      subscription
        .on('message', async (_message, content, ackOrNack) => {
          await handler(content)
          ackOrNack()
        })
        .on('error', () => {})
    },
    close: () => broker.shutdown(),
  }
}
