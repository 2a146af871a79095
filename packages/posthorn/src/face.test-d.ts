// What a user types, and what must not compile: checked by `tsc`, run by nobody.

import {
  type Adapter,
  ack,
  type Broker,
  connect,
  type Delivery,
  delayLevel,
  type Extension,
  exponential,
  type Having,
  idempotent,
  isMessagingError,
  type Middleware,
  nack,
  newestFirst,
  pattern,
  pauseOnBurst,
  reject,
  retry,
  skipOlder,
  type Topic,
  topic,
  Unrecoverable,
  type Verdict,
} from 'posthorn'
import * as v from 'valibot'
import { z } from 'zod'

const Order = z.object({ orderId: z.string(), cents: z.number().default(0) })
const orders = topic('orders', {
  schema: Order,
  key: (o) => o.orderId,
  partitions: 8,
  groups: ['billing', { name: 'mail', order: 'none' }],
})
const paid = topic('paid', { schema: v.object({ orderId: v.string() }) })
const plain = topic<{ orderId: string }>('plain', { key: (o) => o.orderId })
const raw = topic('raw')
const legacy = topic<{ a: 1 }>('legacy', {
  on: { rabbitmq: { exchange: 'shop', routingKey: 'order.created', queue: 'billing' } },
})

export async function sending() {
  await using broker = await connect('sqlite:./app.db', { namespace: 'shop' })
  const producer = broker.producer({ spool: true })
  const receipt = await producer.send(orders, { orderId: '42' })
  await producer.send(
    orders,
    { orderId: '42', cents: 5 },
    { id: 'x', key: '42', tag: 'paid', headers: { a: 'b' }, delayMs: delayLevel(14), priority: 3 },
  )
  // @ts-expect-error the body has another type
  await producer.send(orders, { order: '42' })
  // @ts-expect-error a field too many
  await producer.send(plain, { orderId: '42', cent: 5 })
  // @ts-expect-error misspelt option
  await producer.send(plain, { orderId: '42' }, { delay: 5 })
  for (const sent of await producer.sendBatch(
    plain,
    [{ body: { orderId: '1' } }, { body: { orderId: '2' }, key: 'k' }],
    { atomic: true },
  ))
    if (!sent.ok) throw sent.error
  producer.post(raw, { anything: 1 })
  producer.post(legacy, { a: 1 })
  const answer: 'cancelled' | 'too-late' | 'unknown' = await producer.cancel(receipt)
  await broker.store.transaction((tx) => producer.cancel({ id: receipt.id, topic: orders.name }, { tx }))
  await broker.store.transaction(async (tx) => {
    await tx.query('insert into orders values ($1)', ['42'])
    await producer.send(orders, { orderId: '42' }, { tx })
  })
  broker.checkHalf(orders, async ({ body }) => (body.orderId === '42' ? 'commit' : 'unknown'))
  const { result } = await producer.sendHalf(orders, { orderId: '42' }, async ({ signal }) => (signal.aborted ? 0 : 7))
  const seven: number = result
  const price = await broker.request(
    plain,
    { orderId: '42' },
    { timeoutMs: 2_000, answer: z.object({ cents: z.number() }) },
  )
  try {
    await producer.send(raw, 1)
  } catch (error) {
    if (isMessagingError(error, 'timeout', 'unavailable') && error.outcome === 'unknown') console.log(error.retryable)
  }
  return [answer, seven, price.cents]
}

export async function consuming() {
  const broker = await connect({ url: 'amqp://localhost', store: 'postgres://localhost/shop', needs: ['replay'] })
  const consumer = await broker.consume(
    orders,
    {
      group: 'billing',
      concurrency: 16,
      order: 'key',
      onFailure: 'park',
      filter: { sql: "price > 10 AND region IN ('eu')" },
      guarantee: 'exactly-once-effects',
      use: [retry({ attempts: 5, backoff: exponential({ firstMs: 200, maxMs: 60_000 }) }), idempotent()],
    },
    async ({ body, id, key, attempt, signal, tx }) => {
      const cents: number = body.cents
      if (cents < 0) throw new Unrecoverable('negative')
      await tx.query('update orders set cents = $1 where id = $2', [cents, key ?? id])
      if (attempt > 3 && !signal.aborted) return nack({ afterMs: 1_000 })
      return undefined
    },
  )
  await consumer.seek({ time: new Date(0) })
  await broker.consume(paid, { group: 'mail' }, async (d) => {
    console.log(d.body.orderId)
  })
  await broker.consume(pattern('orders.*'), { group: 'audit', guarantee: 'at-most-once' }, async ({ topic }) =>
    console.log(topic),
  )
  await broker.consume(orders, { group: 'report', batch: { size: 500, waitMs: 50 } }, async (messages) =>
    messages.map((m) => (m.body.cents > 0 ? ack() : reject('free'))),
  )
  for await (const delivery of broker.pull(orders, { group: 'pull' })) await delivery.settle(ack())
  const some = await broker.pull(orders, { group: 'pull' }).receive({ max: 10, waitMs: 1_000 })
  const replay = await broker.replay(
    orders,
    { from: { time: new Date(0) }, ratePerSecond: 100 },
    async ({ body, replay }) => {
      console.log(replay, body.orderId)
    },
  )
  await replay.done
  const { handled, givenBack } = await consumer.stop()
  const dead = broker.deadLetters(orders, { group: 'billing' })
  for await (const letter of dead.list({ limit: 10 }))
    console.log(letter.reason, letter.history.length, letter.body?.orderId)
  const { matched } = await dead.redrive({ where: (l) => l.reason === 'attempts', dryRun: true })
  console.log(
    (await broker.explain(orders, { group: 'billing', guarantee: 'exactly-once-effects' })).toString(),
    (await broker.lag(orders, { group: 'billing' })).drainMs,
  )
  await broker.consume(
    orders,
    {
      group: 'screen',
      order: 'none',
      use: [newestFirst({ asideMs: 30_000 }), skipOlder({ olderThanMs: 60_000, consent: 'discard' })],
    },
    async () => {},
  )
  // @ts-expect-error what is lost on purpose needs consent
  skipOlder({ olderThanMs: 60_000 })
  await broker.consume(
    paid,
    { group: 'reports', use: [pauseOnBurst({ of: orders, group: 'billing', above: 10_000, below: 1_000 })] },
    async () => {},
  )
  // @ts-expect-error a burst of whom
  pauseOnBurst({ of: orders, above: 10_000 })
  const off = broker.on('dead-letter', ({ reason }) => console.log(reason))
  off()
  await broker.close()
  return [some.length, handled, givenBack, matched]
}

export async function capabilities(url: string, kafka: Adapter<{ replay: true; query: false }, { admin(): void }>) {
  const broker = await connect(url)
  const consumer = await broker.consume(raw, { group: 'g' }, async () => {})
  // @ts-expect-error nobody knows whether this broker can replay
  await consumer.seek('earliest')
  const replaying = broker.having('replay')
  if (replaying) await (await replaying.consume(raw, { group: 'g' }, async () => {})).seek('earliest')
  const typed = await connect(kafka)
  typed.driver.client.admin()
  await (await typed.consume(raw, { group: 'g' }, async () => {})).seek({ position: '0' })
  // @ts-expect-error kafka has no query here
  typed.query(raw, { id: 'x' })
}

export const logged: Middleware<Delivery, Verdict> = (next) => async (delivery) => {
  const verdict = await next(delivery)
  console.log(delivery.id, verdict.verdict)
  return verdict
}
export const wide: Topic<{ orderId: string; cents?: number | undefined }, { orderId: string; cents: number }> = orders

import { type } from 'arktype'

const ark = topic('ark', { schema: type({ orderId: 'string', 'n?': 'number' }), key: (o) => o.orderId })
export const arked = async (b: Broker) => {
  await b.producer().send(ark, { orderId: 'x' })
  await b.consume(ark, { group: 'g' }, async ({ body }) => {
    const s: string = body.orderId
    console.log(s)
  })
}

// What must not compile, and what must
export async function refused(
  broker: Broker,
  inferred: Awaited<ReturnType<typeof connect>>,
  error: unknown,
  replaying: Broker<Having<'replay'>>,
) {
  // @ts-expect-error a group is required
  await broker.consume(raw, {}, async () => {})
  await broker.consume(raw, { mode: 'broadcast' }, async () => {})
  // @ts-expect-error a consume extension does nothing in a producer
  broker.producer({ use: [retry({ attempts: 3 })] })
  // @ts-expect-error what is sent one-way cannot be part of a transaction
  await broker.store.transaction(async (tx) => broker.producer().post(raw, 1, { tx }))
  // @ts-expect-error acknowledged before the handler: no verdict counts
  await broker.consume(raw, { group: 'g', guarantee: 'at-most-once' }, async () => nack())
  // @ts-expect-error a misspelt adapter
  topic('x', { on: { rabitmq: { queue: 'q' } } })
  // @ts-expect-error a topic is made by topic()
  const made: Topic<string> = { name: 'x' }
  // @ts-expect-error nobody asked for replay
  inferred.replay
  const options = {
    group: 'g',
    order: 'key' as const,
    filter: process.env['TAG'] ? { tag: process.env['TAG'] } : undefined,
  }
  await broker.consume(orders, options, async ({ body }) => {
    console.log(body.cents)
  })
  await broker.producer().send(orders, { orderId: '1' }, { key: process.env['KEY'] })
  for (const each of [paid, legacy])
    await broker.consume(each, { group: 'g' }, async ({ body }) => {
      console.log(body)
    })
  await broker.deadLetters(pattern('orders.*'), { group: 'audit' }).redrive()
  if (isMessagingError(error) && !isMessagingError(error, 'timeout')) console.log(error.code, error.issues.length)
  await broker.respond(plain, { group: 'prices', answer: z.object({ cents: z.number() }) }, async ({ body }) => ({
    cents: body.orderId.length,
  }))
  replaying.having('query')?.replay(orders, { from: 'earliest' }, async ({ body }) => {
    console.log(body.cents)
  })
  return made
}
export const tenant: Extension = {
  send: (next) => (out) => next({ ...out, tag: 'x', headers: { ...out.headers, tenant: 't' } }),
  consume: (next) => (delivery) => next(delivery),
}
