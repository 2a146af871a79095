import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openShop, type Shop, until } from './shop.ts'

/** The processes that the shop started. */
const childrenOf = (shop: Shop): readonly number[] =>
  readFileSync(`/proc/${shop.process.pid}/task/${shop.process.pid}/children`, 'utf8').trim().split(/\s+/).map(Number)

/** A process that has ended and waits to be counted is gone, too. */
const gone = (pid: number): boolean => {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true
  }
}
const allGone = (pids: readonly number[]): Promise<unknown> =>
  until(
    () => pids.filter((pid) => !gone(pid)),
    (left) => left.length === 0,
    5_000,
  )

test.runIf(process.platform === 'linux')(
  'SIGTERM ends the whole family within 5 s, and its data is there at the next start',
  async () => {
    await using shop = await openShop()
    const [id] = await shop.place()
    const pids = childrenOf(shop)
    expect(pids.length).toBe(2)
    expect(await shop.end()).toBeLessThan(5_000)
    await allGone(pids)
    await using again = await openShop({ folder: shop.folder })
    expect(again.rows('select id from orders')).toEqual([{ id }])
    expect((await again.place())[0]).not.toBe(id)
  },
)

test.runIf(process.platform === 'linux')('a child that is frozen ends, too', async () => {
  await using shop = await openShop()
  const pids = childrenOf(shop)
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  expect(await shop.end()).toBeLessThan(5_000)
  await allGone(pids)
})

test.runIf(process.platform === 'linux')('children whose parent was killed end by themselves', async () => {
  await using shop = await openShop()
  const pids = childrenOf(shop)
  shop.process.kill('SIGKILL')
  await allGone(pids)
})
