import { MessagingError, topic } from '@posthorn/core'
import { type Driver, partsOf } from '@posthorn/core/driver'
import { describe, expect, it } from 'vitest'
import { rig } from './rig.ts'

const orders = topic<{ n: number }>('orders', { groups: ['g'], key: ({ n }) => String(n % 2) })

const loose = topic<{ n: number }>('loose', { groups: ['g'] })

async function reading() {
  const { broker, clock, another } = await rig({ apart: true })
  const seen: number[] = []
  await broker.consume(orders, { group: 'g', order: 'key' }, async ({ body }) => void seen.push(body.n))
  return { broker, clock, another, seen, producer: broker.producer() }
}

describe('the outbox', () => {
  it('sends what was committed, in order per key, and nothing of what was rolled back', async () => {
    const { broker, clock, seen, producer } = await reading()
    await broker.store.transaction(async (tx) => {
      for (const n of [1, 2, 3, 4]) expect((await producer.send(orders, { n }, { tx })).held).toBe('outbox')
      await clock.idle()
      expect(seen).toEqual([])
    })
    await expect(
      broker.store.transaction(async (tx) => {
        await producer.send(orders, { n: 99 }, { tx })
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')
    await clock.advance(60_000)
    expect(seen.filter((n) => n % 2 === 1)).toEqual([1, 3])
    expect(seen.filter((n) => n % 2 === 0)).toEqual([2, 4])
    expect(await broker.health()).toMatchObject({ ok: true })
    await broker.close()
  })

  it('keeps nothing of what has left, but what was put away for a time is remembered for a late cancel', async () => {
    const { broker, clock, producer } = await reading()
    const { held } = partsOf(broker.store)
    await broker.store.transaction(async (tx) => {
      for (const n of [1, 2, 3]) await producer.send(loose, { n }, { tx })
      await producer.send(loose, { n: 4 }, { id: 'timed', delayMs: 1_000, tx })
    })
    await clock.advance(60_000)
    expect([await held?.count('ready'), await held?.count('sent')]).toEqual([0, 1])
    expect(await producer.cancel({ id: 'timed', topic: loose.name })).toBe('too-late')
    await clock.advance(25 * 3_600_000)
    expect(await held?.count('sent')).toBe(0)
    await broker.close()
  })

  it('lets the messages of a key pass one of theirs that has a time of its own', async () => {
    const { broker, clock, seen, producer } = await reading()
    await broker.store.transaction(async (tx) => {
      await producer.send(orders, { n: 1 }, { tx, delayMs: 900_000 })
      await producer.send(orders, { n: 3 }, { tx })
    })
    await clock.advance(10_000)
    expect(seen).toEqual([3])
    await clock.advance(900_000)
    expect(seen).toEqual([3, 1])
    await broker.close()
  })

  it.each(['unavailable', 'timeout'] as const)(
    'sends all soon after the broker is back, however long it was away (%s)',
    async (code) => {
      let away = true
      const send =
        (real: Driver['send']): Driver['send'] =>
        (batch, options) =>
          away ? Promise.reject(new MessagingError(code, 'the broker is away')) : real(batch, options)
      const { broker, clock } = await rig({ apart: true, faults: { send } })
      const seen = new Set<number>()
      await broker.consume(loose, { group: 'g' }, async ({ body }) => void seen.add(body.n))
      await broker.store.transaction(async (tx) => {
        for (let n = 0; n < 40; n++) await broker.producer().send(loose, { n }, { tx })
      })
      await clock.advance(600_000)
      expect(seen.size).toBe(0)
      away = false
      await clock.advance(6_000)
      expect(seen.size).toBe(40)
      await broker.close()
    },
  )

  it('sends nothing twice when several processes relay', async () => {
    const { broker, clock, another, seen, producer } = await reading()
    const others = [await another(), await another()]
    await broker.store.transaction(async (tx) => {
      for (let n = 0; n < 300; n++) await producer.send(orders, { n }, { tx })
    })
    await clock.advance(120_000)
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n))
    for (const each of [...others, broker]) await each.close()
  })
})

describe('the schedule', () => {
  it('holds a delayed message in the store, never early, and gives it once', async () => {
    const { broker, clock, seen, producer } = await reading()
    const receipt = await producer.send(orders, { n: 5 }, { delayMs: 900_000 })
    expect(receipt.held).toBe('schedule')
    await clock.advance(899_999)
    expect(seen).toEqual([])
    await clock.advance(2)
    await clock.idle()
    expect(seen).toEqual([5])
    expect(await producer.cancel(receipt)).toBe('too-late')
    await broker.close()
  })

  it('cancels and reschedules by id and topic from another process, and knows what it does not know', async () => {
    const { broker, clock, another, seen, producer } = await reading()
    const other = (await another()).producer()
    await producer.send(orders, { n: 1 }, { id: 'one', delayMs: 1_000 })
    await producer.send(orders, { n: 2 }, { id: 'two', delayMs: 1_000 })
    expect(await other.cancel({ id: 'one', topic: 'orders' })).toBe('cancelled')
    expect(await other.reschedule({ id: 'two', topic: 'orders' }, { delayMs: 5_000 })).toBe('rescheduled')
    expect(await other.cancel({ id: 'three', topic: 'orders' })).toBe('unknown')
    await clock.advance(4_000)
    expect(seen).toEqual([])
    await clock.advance(2_000)
    await clock.idle()
    expect(seen).toEqual([2])
    await broker.close()
  })

  it('takes a cancel back with its transaction', async () => {
    const { broker, clock, seen, producer } = await reading()
    const receipt = await producer.send(orders, { n: 1 }, { delayMs: 1_000 })
    await expect(
      broker.store.transaction(async (tx) => {
        expect(await producer.cancel(receipt, { tx })).toBe('cancelled')
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')
    await clock.advance(2_000)
    await clock.idle()
    expect(seen).toEqual([1])
    await broker.close()
  })
})
