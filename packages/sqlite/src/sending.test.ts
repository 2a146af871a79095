import { DatabaseSync } from 'node:sqlite'
import { connectAdapter, type MessagingError, topic } from '@posthorn/core'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { sqlite } from './index.ts'

test('what waits for the lock of another is taken back message by message, until it is written', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  const batch = ['1', '2', '3'].map((text) => message('t', text))
  const [, second] = batch as [unknown, (typeof batch)[0]]
  const sent = driver.send(batch, { signal: never })
  await expect.poll(async () => (await driver.health()).some(({ detail }) => /1 writes wait/.test(detail))).toBe(true)
  expect(driver.withdraw?.(batch, second)).toBe(true)
  other.exec('COMMIT')
  expect((await sent).map(({ ok }) => ok)).toEqual([true, false, true])
  expect(driver.withdraw?.(batch, second)).toBe(false)
  const source = await driver.open(membership(topicOf('t')), never)
  expect(texts(await source.receive(10, never))).toBe('1 3')
  other.close()
  await driver.close()
})

test('a send that never got the lock has failed, and does not come later', async () => {
  const path = freshPath()
  const broker = await connectAdapter(sqlite({ path }))
  const orders = topic<number>('orders', { groups: ['g'] })
  await broker.producer().send(orders, 0)
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  const outcome = ({ code, outcome }: MessagingError): string => `${code} ${outcome}`
  const producer = broker.producer({ sendTimeoutMs: 300 })
  const together = producer.sendBatch(orders, [{ body: 1 }, { body: 2 }], { atomic: true })
  expect(await producer.send(orders, 3).catch(outcome)).toBe('timeout failed')
  expect(await together).toMatchObject(new Array(2).fill({ ok: false, error: { outcome: 'failed' } }))
  other.exec('COMMIT')
  await broker.producer().send(orders, 4)
  const bodies: number[] = []
  await broker.consume(orders, { group: 'g' }, async ({ body }) => void bodies.push(body))
  await expect.poll(() => bodies).toEqual([0, 4])
  other.close()
  await broker.close()
})
