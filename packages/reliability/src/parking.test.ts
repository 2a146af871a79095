import { fixed, MessagingError, retry, topic } from '@posthorn/core'
import { describe, expect, it } from 'vitest'
import { rig } from './rig.ts'

const orders = topic<{ key: string; n: number }>('orders', { groups: ['g'], key: ({ key }) => key })

async function reading() {
  const { broker, clock } = await rig()
  const seen: string[] = []
  const broken = new Set<string>()
  await broker.consume(
    orders,
    { group: 'g', order: 'key', onFailure: 'park', use: [retry({ attempts: 2, backoff: fixed(10) })] },
    async ({ body }) => {
      const name = `${body.key}${body.n}`
      if (broken.has(name)) throw new Error(`${name} is broken`)
      seen.push(name)
    },
  )
  const send = (key: string, ...list: number[]) =>
    Promise.all(list.map((n) => broker.producer().send(orders, { key, n })))
  const parked = async (): Promise<string[]> => {
    const out: string[] = []
    for await (const letter of broker.deadLetters(orders, { group: 'g' }).list())
      out.push(`${letter.body?.key}${letter.body?.n} ${letter.reason}`)
    return out
  }
  return { broker, clock, seen, broken, send, parked }
}

describe('a parked key', () => {
  it('holds its later messages while other keys go on, and drains in order before live traffic', async () => {
    const { broker, clock, seen, broken, send, parked } = await reading()
    broken.add('a2')
    await send('a', 1, 2, 3)
    await send('b', 1)
    await clock.advance(1_000)
    await send('a', 4)
    await clock.advance(1_000)
    expect(seen).toEqual(['a1', 'b1'])
    expect(await parked()).toEqual(['a2 parked', 'a3 parked', 'a4 parked'])
    broken.clear()
    await broker.deadLetters(orders, { group: 'g' }).redrive({ where: (letter) => letter.reason === 'parked' })
    await send('a', 5)
    await clock.advance(60_000)
    expect(seen.filter((each) => each.startsWith('a'))).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
    expect(await parked()).toEqual([])
    await send('a', 6)
    await clock.advance(1_000)
    expect(seen.at(-1)).toBe('a6')
    await broker.close()
  })

  it('stays parked in order when the released message fails again', async () => {
    const { broker, clock, seen, broken, send, parked } = await reading()
    broken.add('a1')
    await send('a', 1, 2, 3)
    await clock.advance(1_000)
    await broker.deadLetters(orders, { group: 'g' }).redrive()
    await clock.advance(60_000)
    expect(seen).toEqual([])
    expect(await parked()).toEqual(['a1 parked', 'a2 parked', 'a3 parked'])
    broken.clear()
    await broker.deadLetters(orders, { group: 'g' }).redrive()
    await clock.advance(60_000)
    expect(seen).toEqual(['a1', 'a2', 'a3'])
    await broker.close()
  })

  it('is released once while its group is away, and again when nothing was heard for long', async () => {
    const { broker, clock } = await rig()
    const options = { group: 'g', order: 'key', onFailure: 'park', use: [retry({ attempts: 1 })] } as const
    const failing = await broker.consume(orders, options, async () => {
      throw new Error('broken')
    })
    await broker.producer().send(orders, { key: 'a', n: 1 })
    await clock.advance(1_000)
    await failing.stop()
    const copies = async () => (await broker.lag(orders, { group: 'g' })).backlog
    await broker.deadLetters(orders, { group: 'g' }).redrive()
    await clock.advance(50_000)
    expect(await copies()).toBe(1)
    await clock.advance(3_600_000)
    expect(await copies()).toBeGreaterThan(1)
    expect(await copies()).toBeLessThan(8)
    const seen: number[] = []
    await broker.consume(orders, options, async ({ body }) => void seen.push(body.n))
    await clock.advance(10_000)
    expect(seen[0]).toBe(1)
    await broker.close()
  })
})

it('is refused where each instance has a group of its own: nobody would come back for what is parked', async () => {
  const { broker } = await rig()
  const everywhere = { mode: 'broadcast', order: 'key', onFailure: 'park' } as const
  for (const asked of [everywhere, { ...everywhere, group: 'g' }])
    await expect(broker.consume(orders, asked, async () => {})).rejects.toThrow(
      /onFailure: 'park' .*mode: 'broadcast'.*say onFailure: 'skip'/,
    )
  await broker.close()
})

describe('a store that is away', () => {
  it('keeps who asks it about parked keys waiting: nobody is asked again at once, and no message is taken for poison', async () => {
    let away = true
    let asked = 0
    const { broker, clock } = await rig({
      apart: true,
      faults: {
        held: (held) => ({
          ...held,
          async range(query) {
            if (query.lane !== undefined) asked++
            if (away && query.lane !== undefined) throw new MessagingError('unavailable', 'the store is away')
            return held.range(query)
          },
        }),
      },
    })
    const seen: [number, number][] = []
    const letters: string[] = []
    broker.on('dead-letter', ({ reason }) => letters.push(reason))
    await broker.consume(orders, { group: 'g', order: 'key', onFailure: 'park' }, async ({ body, attempt }) => {
      seen.push([body.n, attempt])
    })
    for (const n of [1, 2]) await broker.producer().send(orders, { key: 'a', n })
    await clock.advance(20_000)
    expect(seen).toEqual([])
    expect(asked).toBeGreaterThan(5)
    expect(asked).toBeLessThan(30)
    away = false
    await clock.advance(2_000)
    await clock.idle()
    expect(seen).toEqual([
      [1, 1],
      [2, 1],
    ])
    expect(letters).toEqual([])
    await broker.close()
  })

  it('that takes no parked message, and gives none to the relay, is told of, and the message waits until it does', async () => {
    let full = true
    const lines: string[] = []
    const refuse = async (): Promise<never> => {
      throw new MessagingError('unavailable', 'the disk is full')
    }
    const { broker, clock } = await rig({
      apart: true,
      log: (line) => void lines.push(line),
      faults: {
        held: (held) => ({
          ...held,
          insert: (...row) => (full ? refuse() : held.insert(...row)),
          claim: (query) => (full ? refuse() : held.claim(query)),
        }),
      },
    })
    const told: string[] = []
    const letters: string[] = []
    broker.on('send-failed', ({ error }) => void told.push(error.message))
    broker.on('key-parked', ({ key }) => void letters.push(key))
    await broker.consume(
      orders,
      { group: 'g', order: 'key', onFailure: 'park', use: [retry({ attempts: 1 })] },
      async () => {
        throw new Error('no')
      },
    )
    await broker.producer().send(orders, { key: 'a', n: 1 })
    await clock.advance(5_000)
    expect(told).toContain('the disk is full')
    expect(letters).toEqual([])
    expect(lines.filter((line) => line.includes('what is ready in the store cannot be worked off'))).toHaveLength(1)
    full = false
    await clock.advance(5_000)
    expect(letters).toEqual(['a'])
    await broker.close()
  })
})
