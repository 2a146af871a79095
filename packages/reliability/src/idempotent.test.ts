import { ack, connectAdapter, fixed, MessagingError, nack, retry, topic } from '@posthorn/core'
import { type Claims, defineStore, partsOf } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import { describe, expect, it } from 'vitest'
import { idempotent } from './idempotent.ts'
import { rig } from './rig.ts'

const orders = topic<{ n: number }>('orders', { groups: ['g'] })
const effects = topic<{ n: number }>('effects', { groups: ['e'] })
const quick = retry({ attempts: 4, backoff: fixed(10) })

/** Effects are messages sent in the handler's transaction: they are there if and only if it committed. */
async function handling(handler: (n: number, attempt: number) => Promise<ReturnType<typeof nack> | void>) {
  const { broker, clock } = await rig()
  const done: number[] = []
  await broker.consume(effects, { group: 'e' }, async ({ body }) => void done.push(body.n))
  const producer = broker.producer()
  await broker.consume(
    orders,
    { group: 'g', guarantee: 'exactly-once-effects', use: [idempotent(), quick] },
    async ({ body, attempt, tx }) => {
      await producer.send(effects, body, { tx })
      return handler(body.n, attempt)
    },
  )
  return { broker, clock, done, producer }
}

describe('idempotent in a transaction', () => {
  it('handles a message that comes twice once', async () => {
    const { broker, clock, done, producer } = await handling(async () => {})
    for (let copy = 0; copy < 3; copy++) await producer.send(orders, { n: 1 }, { id: 'one' })
    await producer.send(orders, { n: 2 })
    await clock.advance(1_000)
    expect(done.sort()).toEqual([1, 2])
    await broker.close()
  })

  it('commits only on ack: a throw and a nack roll back the effect with the inbox row', async () => {
    const { broker, clock, done, producer } = await handling(async (_, attempt) => {
      if (attempt === 1) throw new Error('no')
      if (attempt === 2) return nack({ afterMs: 5 })
      return undefined
    })
    await producer.send(orders, { n: 1 })
    await clock.advance(1_000)
    expect(done).toEqual([1])
    await broker.close()
  })

  it('forgets after its window', async () => {
    const { broker, clock } = await rig()
    let runs = 0
    await broker.consume(orders, { group: 'g', use: [idempotent({ windowMs: 60_000 })] }, async () => void runs++)
    await broker.producer().send(orders, { n: 1 }, { id: 'x' })
    await clock.advance(59_000)
    await broker.producer().send(orders, { n: 1 }, { id: 'x' })
    await clock.advance(2_000)
    expect(runs).toBe(1)
    await broker.producer().send(orders, { n: 1 }, { id: 'x' })
    await clock.advance(1_000)
    expect(runs).toBe(2)
    await broker.close()
  })

  it('handles a batch in one transaction; where one message fails all is rolled back and each has its own', async () => {
    const { broker, clock } = await rig()
    const done: number[] = []
    const batches: { readonly bodies: readonly number[]; readonly transactions: number }[] = []
    await broker.consume(effects, { group: 'e' }, async ({ body }) => void done.push(body.n))
    const producer = broker.producer()
    await broker.consume(
      orders,
      { group: 'g', guarantee: 'exactly-once-effects', batch: { size: 4, waitMs: 10 }, use: [quick] },
      async (deliveries) => {
        batches.push({
          bodies: deliveries.map(({ body }) => body.n),
          transactions: new Set(deliveries.map(({ tx }) => tx)).size,
        })
        for (const { body, tx } of deliveries) await producer.send(effects, body, { tx })
        return deliveries.map(({ body, attempt }) => (body.n === 2 && attempt === 1 ? nack({ afterMs: 5 }) : ack()))
      },
    )
    for (const n of [1, 2, 3, 4]) await producer.send(orders, { n })
    await clock.advance(1_000)
    expect(batches.slice(0, 5)).toEqual([
      { bodies: [1, 2, 3, 4], transactions: 1 },
      ...[1, 2, 3, 4].map((n) => ({ bodies: [n], transactions: 1 })),
    ])
    expect(done.sort()).toEqual([1, 2, 3, 4])
    // What was handled is known in a batch, too.
    await producer.send(orders, { n: 5 }, { id: 'five' })
    await producer.send(orders, { n: 5 }, { id: 'five' })
    await clock.advance(1_000)
    expect(done.sort()).toEqual([1, 2, 3, 4, 5])
    await broker.close()
  })

  it('says what it costs, of a batch too', async () => {
    const { broker } = await rig()
    const options = { group: 'g', guarantee: 'exactly-once-effects' } as const
    const single = String(await broker.explain(orders, options))
    const many = String(await broker.explain(orders, { ...options, batch: { size: 10, waitMs: 10 } }))
    expect(single).toMatch(/an inbox row, remembered for \d+ ms/)
    expect(single).not.toMatch(/of a batch/)
    expect(many).toMatch(/a batch has one commit/)
    await broker.close()
  })

  it('is refused at start where its window is shorter than the topic’s retention, or nothing remembers', async () => {
    const { broker } = await rig()
    const long = topic('long', { retentionMs: 30 * 24 * 3_600_000 })
    await expect(
      broker.consume(long, { group: 'g', guarantee: 'exactly-once-effects' }, async () => {}),
    ).rejects.toThrow(/windowMs|retention/)
    await broker.close()
    const bare = await connectAdapter(memory(), { log: false })
    await expect(
      bare.consume(orders, { group: 'g', guarantee: 'exactly-once-effects' }, async () => {}),
    ).rejects.toThrow(/idempotent\(\)/)
    await bare.close()
  })
})

describe('idempotent by claim', () => {
  const claimed = (options: Parameters<typeof idempotent>[0] = {}) => ({
    group: 'g',
    use: [idempotent({ mode: 'claim', ...options }), quick],
  })

  it('handles once, with a fence that rises, and again after a failure', async () => {
    const { broker, clock } = await rig()
    const runs: [number, bigint | undefined][] = []
    await broker.consume(orders, claimed(), async ({ body, attempt, fence }) => {
      runs.push([body.n, fence])
      if (attempt === 1) throw new Error('once more')
    })
    for (let copy = 0; copy < 3; copy++) await broker.producer().send(orders, { n: 1 }, { id: 'one' })
    await clock.advance(60_000)
    const fences = runs.map(([, fence]) => fence as bigint)
    expect(fences.every((fence, i) => i === 0 || fence > (fences[i - 1] as bigint))).toBe(true)
    const letters = []
    for await (const letter of broker.deadLetters(orders, { group: 'g' }).list()) letters.push(letter)
    expect(letters).toEqual([])
    await broker.close()
  })

  it('names the business event by `by`, and refuses one without a name', async () => {
    const { broker, clock } = await rig()
    let runs = 0
    await broker.consume(
      orders,
      claimed({ by: ({ body }) => String((body as { n: number }).n || '') }),
      async () => void runs++,
    )
    await broker.producer().send(orders, { n: 7 })
    await broker.producer().send(orders, { n: 7 })
    await broker.producer().send(orders, { n: 0 })
    await clock.advance(60_000)
    expect(runs).toBe(1)
    const errors = []
    for await (const letter of broker.deadLetters(orders, { group: 'g' }).list()) errors.push(letter.error)
    expect(errors).toEqual([expect.stringMatching(/idempotent\(\{ by \}\)/)])
    await broker.close()
  })

  it('gives the result of a finished message again, to copies and to other messages about the same event', async () => {
    const { broker, clock } = await rig()
    const given: unknown[] = []
    let runs = 0
    await broker.consume(
      orders,
      claimed({
        by: ({ body }) => `payment ${(body as { n: number }).n}`,
        again: async ({ id }, result) => void given.push([id, result]),
      }),
      async ({ body }) => ack({ receipt: `r-${body.n}-${++runs}` }),
    )
    await broker.producer().send(orders, { n: 7 }, { id: 'first' })
    await clock.advance(1_000)
    await broker.producer().send(orders, { n: 7 }, { id: 'second' })
    await broker.producer().send(orders, { n: 8 }, { id: 'third' })
    await clock.advance(1_000)
    expect(given).toEqual([['second', { receipt: 'r-7-1' }]])
    expect(runs).toBe(2)
    await broker.close()
  })

  it('says when it could not keep a message from being handled twice', async () => {
    const { broker, clock } = await rig()
    const exposed: string[] = []
    broker.on('exposed', ({ id, why }) => void exposed.push(`${id}: ${why}`))
    let cut = false
    const parts = partsOf(broker.store)
    const claims = parts.claims as Claims
    const away = async (): Promise<never> => {
      throw new MessagingError('unavailable', 'the store is away')
    }
    const flaky: Claims = {
      ...claims,
      acquire: (...args) => (cut ? away() : claims.acquire(...args)),
      renew: (...args) => (cut ? away() : claims.renew(...args)),
      finish: (...args) => (cut ? away() : claims.finish(...args)),
    }
    const ran: string[] = []
    const hold = Promise.withResolvers<void>()
    let aborted: unknown
    await broker.consume(
      orders,
      claimed({ store: defineStore({ ...parts, claims: flaky }), whenStoreIsAway: 'run' }),
      async ({ id, signal }) => {
        ran.push(id)
        if (id === 'big') return ack(1n)
        if (id !== 'held') return undefined
        await hold.promise
        aborted = signal.reason
        return undefined
      },
    )
    const { send } = broker.producer()
    await send(orders, { n: 1 }, { id: 'big' })
    await send(orders, { n: 1 }, { id: 'held' })
    await clock.advance(1_000)
    cut = true
    await send(orders, { n: 2 }, { id: 'alone' })
    await clock.advance(60_000)
    hold.resolve()
    await clock.advance(1_000)
    expect(ran).toEqual(['big', 'held', 'alone'])
    expect(exposed).toEqual(['big: no result', 'alone: store away', 'held: claim lost', 'held: not marked'])
    expect(aborted).toMatchObject({ code: 'stale' })
    await broker.close()
  })

  it('refuses options that do not go together, when it is made or when the consumer starts', async () => {
    expect(() => idempotent({ mode: 'claim', table: { name: 'seen' } })).toThrow(/table/)
    expect(() => idempotent({ mode: 'transaction', again: async () => {} })).toThrow(/again/)
    expect(() => idempotent({ table: { name: 'seen; DROP TABLE orders' } })).toThrow(/SQL name/)
    const { broker } = await rig()
    await expect(
      broker.consume(orders, { group: 'g', use: [idempotent({ again: async () => {} })] }, async () => {}),
    ).rejects.toThrow(/again/)
    await broker.close()
  })
})
