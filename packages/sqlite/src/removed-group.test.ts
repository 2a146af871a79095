import { DatabaseSync } from 'node:sqlite'
import { connectAdapter, topic } from '@posthorn/core'
import type { Driver, Source, Subscription } from '@posthorn/core/driver'
import { expect, test, vi } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { sqlite } from './index.ts'

const groups = [
  { name: 'billing', order: 'none', filter: undefined },
  { name: 'audit', order: 'none', filter: undefined },
] as const

const member = (driver: Driver, over: Partial<Subscription>): Promise<Source> =>
  driver.open(membership(topicOf('t', { groups }), over), never)

/** What an operator does by hand. */
function removeGroups(path: string): void {
  const database = new DatabaseSync(path, { timeout: 5_000 })
  for (const table of ['cursor', 'delivery', 'claim']) database.exec(`DELETE FROM posthorn_${table}`)
  database.exec('DELETE FROM posthorn_group')
  database.close()
}

test('a member that waits hears that its group was removed by another process', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t', { groups }), never)
  const source = await member(driver, { group: 'billing' })
  const waiting = source.receive(10, never)
  removeGroups(path)
  await expect(waiting).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('group billing of t is gone'),
  })
  await driver.close()
})

test('a member that has not heard of it yet does not read as another group that was made since', async () => {
  const path = freshPath()
  const driver = await connected(path)
  const other = await connected({ path, synchronous: 'normal' })
  await driver.declare(topicOf('t', { groups }), never)
  const billing = await member(driver, { group: 'billing' })
  removeGroups(path)
  const audit = await member(other, { group: 'audit' })
  await other.send([message('t', 'for audit')], { signal: never })
  await expect(billing.receive(10, never)).rejects.toMatchObject({ code: 'unavailable' })
  expect(texts(await audit.receive(10, never))).toBe('for audit')
  await driver.close()
  await other.close()
})

test('a consumer whose topic another process deletes, or whose group is removed by hand, goes on by itself', async () => {
  const path = freshPath()
  const t = topic<number>('t', { groups: ['billing'] })
  const broker = await connectAdapter(sqlite(path), { log: false })
  const other = await connectAdapter(sqlite({ path, synchronous: 'normal' }), { log: false })
  const got: number[] = []
  await broker.consume(t, { group: 'billing' }, async ({ body }) => void got.push(body))
  const handled = async (n: number): Promise<void> => {
    const groups = async () => (await other.topics.list()).find(({ name }) => name === 't')?.groups
    await vi.waitFor(async () => expect(await groups()).toEqual(['billing']), 15_000)
    await other.producer().send(t, n)
    await vi.waitFor(() => expect(got).toContain(n), 15_000)
    await vi.waitFor(async () => expect((await other.lag(t, { group: 'billing' })).backlog).toBe(0), 15_000)
  }
  await handled(1)
  await other.topics.delete(t)
  await handled(2)
  removeGroups(path)
  await handled(3)
  await other.close()
  await broker.close()
})
