import { DatabaseSync } from 'node:sqlite'
import type { Driver, Source, Subscription } from '@posthorn/core/driver'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

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
