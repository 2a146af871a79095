import { connectAdapter, fixed, nack, retry, topic } from '@posthorn/core'
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
})
