import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Adapter, connectAdapter, isMessagingError, topic } from '@posthorn/core'
import { expect, test } from 'vitest'
import { connected, freshPath, never, topicOf } from '../test/stage.ts'
import { sqlite } from './index.ts'

test('a topic that is first used in a transaction that has already written is declared in it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-declaring-'))
  const broker = await connectAdapter(sqlite(join(folder, 'app.db')) as Adapter, { log: false })
  const orders = topic<number>('orders', { groups: ['billing'] })
  await broker.store.transaction(async (tx) => {
    await tx.query('create table shop (n integer)')
    await broker.producer({ sendTimeoutMs: 2_000 }).send(orders, 1, { tx })
  })
  const [delivery] = await broker.pull(orders, { group: 'billing' }).receive({ max: 1, waitMs: 5_000 })
  expect(delivery?.body).toBe(1)
  await broker.close()
  rmSync(folder, { recursive: true, force: true })
})

test("a mapping to what is another's is refused: there is nothing of the kind in a file", async () => {
  const driver = await connected(freshPath())
  await expect(driver.declare(topicOf('t', { on: { table: 'orders' } }), never)).rejects.toSatisfy(
    (error) => isMessagingError(error, 'unsupported') && error.message.includes('on.sqlite'),
  )
  await driver.close()
})
