import { fixed, retry, topic } from '@posthorn/core'
import { describe, expect, it } from 'vitest'
import { idempotent } from './idempotent.ts'
import { rig } from './rig.ts'

const orders = topic<{ key: string; n: number }>('orders', { groups: ['g'], key: ({ key }) => key })
const windowMs = 60_000

async function reading(onFailure: 'skip' | 'park', use = [idempotent({ windowMs })]) {
  const { broker, clock, another } = await rig()
  const state = { broken: true }
  const seen: number[] = []
  await broker.consume(
    orders,
    { group: 'g', onFailure, use: [retry({ attempts: 1, backoff: fixed(1) }), ...use] },
    async ({ body }) => {
      if (state.broken) throw new Error('down')
      seen.push(body.n)
    },
  )
  for (const n of [1, 2]) await broker.producer().send(orders, { key: 'a', n })
  await clock.advance(1_000)
  state.broken = false
  // Another process, which has no consumer of the group.
  const operator = await another()
  return { shelf: operator.deadLetters(orders, { group: 'g' }), clock, seen, close: () => broker.close() }
}

describe('redriving letters older than the group’s inbox remembers', () => {
  it.each(['skip', 'park'] as const)('is refused by name and count, unless told so: %s', async (onFailure) => {
    const { shelf, clock, seen, close } = await reading(onFailure)
    await clock.advance(windowMs)
    expect(await shelf.redrive({ dryRun: true })).toEqual({ matched: 2, redriven: 0, failed: 0, refused: 2 })
    expect(await shelf.redrive()).toEqual({ matched: 2, redriven: 0, failed: 0, refused: 2 })
    await clock.advance(60_000)
    expect(seen).toEqual([])
    expect(await shelf.redrive({ beyondInbox: true })).toMatchObject({ matched: 2, refused: 0, failed: 0 })
    await clock.advance(60_000)
    expect(seen).toEqual([1, 2])
    await close()
  })

  it('is done where the inbox still remembers, or there is none', async () => {
    const young = await reading('skip')
    await young.clock.advance(windowMs / 2)
    expect(await young.shelf.redrive()).toMatchObject({ redriven: 2, refused: 0 })
    await young.close()
    const without = await reading('skip', [])
    await without.clock.advance(100 * windowMs)
    expect(await without.shelf.redrive()).toMatchObject({ redriven: 2, refused: 0 })
    await without.close()
  })
})
