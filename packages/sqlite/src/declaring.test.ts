import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Adapter, connectAdapter, topic } from '@posthorn/core'
import { expect, test } from 'vitest'
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
