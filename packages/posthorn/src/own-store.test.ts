// A store beside the broker that is the broker's own, or is seen by all that see the broker: nothing to warn of, nothing to refuse.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect, topic } from './index.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthorn-own-store-'))
const orders = topic<{ orderId: string }>('orders', { groups: ['billing'] })

test('a file that is named as broker and as its store is one: a send with tx is in the same commit', async () => {
  const lines: string[] = []
  const url = `sqlite:${join(folder, 'one.db')}`
  // As a relative path names the same file.
  const store = `sqlite:${join(folder, '..', folder.split('/').at(-1) ?? '', 'one.db')}`
  await using broker = await connect({ url, store }, { log: (line) => lines.push(line) })
  const { promises } = await broker.explain(orders, { group: 'billing' })
  expect(promises.find(({ promise }) => promise === 'transaction')?.how).toBe('native')
  expect(promises.find(({ promise }) => promise === 'cancel')?.how).toBe('native')
  const { held } = await broker.store.transaction((tx) => broker.producer().send(orders, { orderId: '42' }, { tx }))
  expect(held).toBe('broker')
  expect(lines).toEqual([])
})

test.each([
  ['memory:', 'sqlite:'],
  ['sqlite:', 'sqlite:'],
])('%s sees no further than a store in %s, so nobody need say singleHost', async (scheme, beside) => {
  const lines: string[] = []
  const url = scheme === 'memory:' ? scheme : `${scheme}${join(folder, 'broker.db')}`
  await using broker = await connect(
    { url, store: `${beside}${join(folder, 'store.db')}` },
    { log: (line) => lines.push(line) },
  )
  const handled = Promise.withResolvers<string>()
  await broker.consume(orders, { group: 'billing', guarantee: 'exactly-once-effects' }, async ({ body, tx }) => {
    await tx.query('SELECT 1')
    handled.resolve(body.orderId)
  })
  await broker.producer().send(orders, { orderId: '42' })
  expect(await handled.promise).toBe('42')
  expect(lines).toEqual([])
})

test('a store that sees less than its broker is told of', async () => {
  const lines: string[] = []
  const url = `sqlite:${join(folder, 'wide.db')}`
  await using broker = await connect({ url, store: 'memory:' }, { log: (line) => lines.push(line) })
  expect(broker.store.scope).toBe('process')
  expect(lines.join()).toMatch(/the memory store is seen by one process only/)
})
