import { retry, topic } from '@posthorn/core'
import { expect, it } from 'vitest'
import { rig } from './rig.ts'

const work = topic<{ n: number }>('work', { groups: [{ name: 'g', order: 'key' }] })
const bills = topic<{ n: number }>('bills', { groups: [{ name: 'g', order: 'topic' }] })
const [letters, kills] = [150, 50]

it('a redrive that is killed fifty times in the middle loses nothing, and each effect happens once and in order', async () => {
  const { broker, clock, another } = await rig()
  const billed: number[] = []
  let broken = true
  await broker.consume(bills, { group: 'g', order: 'topic' }, async ({ body }) => void billed.push(body.n))
  await broker.consume(
    work,
    { group: 'g', order: 'key', guarantee: 'exactly-once-effects', use: [retry({ attempts: 1 })] },
    async ({ body, tx }) => {
      if (broken) throw new Error('down')
      await broker.producer().send(bills, body, { tx })
    },
  )
  for (let n = 0; n < letters; n++) await broker.producer().send(work, { n }, { key: `${n % 3}`, id: `m${n}` })
  await clock.advance(1_000)
  broken = false
  const dead = broker.deadLetters(work, { group: 'g' })
  const left = async (): Promise<number> => {
    let count = 0
    for await (const _ of dead.list()) count++
    return count
  }
  expect(await left()).toBe(letters)
  for (let n = 0; n < kills; n++) {
    const before = await left()
    const mortal = await another({ call: 2 + (n % 3), after: n % 2 === 0 })
    // Never answered where it dies.
    void mortal.deadLetters(work, { group: 'g' }).redrive()
    await clock.advance(1_000)
    // It had begun, and had not ended.
    expect(before).toBeGreaterThan(0)
    expect(await left()).toBeGreaterThan(0)
  }
  expect(await left()).toBeLessThan(letters)
  await Promise.all([dead.redrive(), clock.advance(15_000)])
  expect(await left()).toBe(0)
  expect(billed.toSorted((a, b) => a - b)).toEqual(Array.from({ length: letters }, (_, n) => n))
  for (const key of [0, 1, 2]) {
    const mine = billed.filter((n) => n % 3 === key)
    expect(mine).toEqual(mine.toSorted((a, b) => a - b))
  }
  await broker.close()
})
