import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Broker, connectAdapter, isMessagingError, topic } from '@posthorn/core'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { sqlite, sqliteTx } from './index.ts'

test('while another handle holds the lock, timers run and the send waits for its end', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  let sent = false
  const sending = driver.send([message('t', 'a')], { signal: never }).then((results) => {
    sent = true
    return results
  })
  let ticks = 0
  while (ticks < 30) {
    await sleep(1)
    ticks++
  }
  expect(sent).toBe(false)
  other.exec('COMMIT')
  expect(await sending).toEqual([{ ok: true, position: '1' }])
  other.close()
  await driver.close()
})

test('a transaction that awaits holds up the sends of its process, not its timers, and fails none', async () => {
  const driver = await connected(freshPath())
  await driver.declare(topicOf('t'), never)
  let sending: Promise<readonly unknown[]> | undefined
  let ticks = 0
  await driver.store?.transaction(async (tx) => {
    await tx.query('SELECT 1')
    sending = Promise.all(['a', 'b'].map((text) => driver.send([message('t', text)], { signal: never })))
    for (; ticks < 20; ticks++) await sleep(1)
  })
  expect(ticks).toBe(20)
  expect(((await sending) as readonly (readonly { ok: boolean }[])[]).flat().every(({ ok }) => ok)).toBe(true)
  await driver.close()
})

test('a send without tx inside the open transaction of the same flow is refused; beside it, and with tx, it is not', async () => {
  const path = freshPath()
  const broker = await connectAdapter(sqlite(path))
  const orders = topic<{ n: number }>('orders', { groups: ['g'] })
  const producer = broker.producer()
  await producer.send(orders, { n: 0 })
  let beside: Promise<unknown> | undefined
  const outside = (): void => {
    beside = producer.send(orders, { n: 1 })
  }
  const gate = Promise.withResolvers<void>()
  const waiting = gate.promise.then(outside)
  await broker.store.transaction(async (tx) => {
    await tx.query('CREATE TABLE app (n INTEGER)')
    gate.resolve()
    await waiting
    await expect(producer.send(orders, { n: 2 })).rejects.toSatisfy((error) => isMessagingError(error, 'invalid'))
    await producer.send(orders, { n: 3 }, { tx })
  })
  await beside
  const found: number[] = []
  for await (const { body } of (broker as Broker<{ replay: true; query: true }>).query(orders, {}))
    found.push((body as { n: number }).n)
  expect(found).toEqual([0, 3, 1])
  await broker.close()
})

test('$1 works with values of every kind, and a query that ends the transaction is refused', async () => {
  const driver = await connected(freshPath())
  await driver.store?.transaction(async (tx) => {
    await tx.query('CREATE TABLE app (a, b, c, d, e)')
    await tx.query('INSERT INTO app VALUES ($2, $1, $3, $4, $5)', ['b', 1, true, undefined, Buffer.from('x')])
    const { rows } = await tx.query("SELECT a, b, c, d, '$1' AS e FROM app WHERE a = $1", [1])
    expect(rows).toEqual([{ a: 1, b: 'b', c: 1, d: null, e: '$1' }])
    await expect(tx.query('SELECT $1', [{}])).rejects.toThrow(/JSON.stringify/)
  })
  await expect(driver.store?.transaction((tx) => tx.query('COMMIT'))).rejects.toThrow(/ended the transaction/)
  expect((await driver.store?.transaction((tx) => tx.query('SELECT count(*) AS n FROM app')))?.rows).toEqual([{ n: 1 }])
  await driver.close()
})

test("a send in the user's own transaction is seen when the user commits, and never when not", async () => {
  const path = freshPath()
  const database = new DatabaseSync(path)
  const driver = await connected({ database })
  await driver.declare(topicOf('t'), never)
  const source = await driver.open(membership(topicOf('t')), never)
  expect(() => sqliteTx(database)).toThrow(/no transaction is open/)
  for (const end of ['ROLLBACK', 'COMMIT']) {
    database.exec('BEGIN IMMEDIATE')
    await driver.send([message('t', end)], { signal: never, tx: sqliteTx(database) })
    database.exec(end)
  }
  expect(texts(await source.receive(10, never))).toBe('COMMIT')
  await driver.close()
  expect(database.isOpen).toBe(true)
})

test('a transaction of another file is refused', async () => {
  const [a, b] = [await connected(freshPath()), await connected(freshPath())]
  await a.declare(topicOf('t'), never)
  await b.store?.transaction(async (tx) => {
    await expect(a.send([message('t', 'x')], { signal: never, tx })).rejects.toThrow(/one file for both/)
  })
  await a.close()
  await b.close()
})

test('explain() says that handlers with a transaction write one at a time', async () => {
  const broker = await connectAdapter(sqlite(freshPath()))
  const orders = topic<{ n: number }>('orders', { groups: ['g'] })
  const { promises } = await broker.explain(orders, { group: 'g' })
  expect(promises.find(({ promise }) => promise === 'transactions')).toMatchObject({
    how: 'store',
    detail: expect.stringMatching(/begins at its first tx\.query.*write one at a time/),
  })
  await broker.close()
})

test('what would wait for the end of the transaction in which it is awaited is refused at once', async () => {
  const broker = await connectAdapter(sqlite(freshPath()), { log: false })
  const orders = topic<{ n: number }>('orders', { groups: ['g'] })
  const other = topic<{ n: number }>('other', { groups: ['g'] })
  const producer = broker.producer()
  for (const each of [orders, other]) await producer.send(each, { n: 1 })
  const consumer = await broker.having('replay')?.consume(orders, { group: 'h' }, async () => {})
  const asks: readonly (() => Promise<unknown>)[] = [
    () => producer.send(orders, { n: 2 }),
    () => producer.cancel({ id: 'x', topic: 'orders' }),
    () => broker.consume(orders, { group: 'new' }, async () => {}),
    () => broker.request(orders, { n: 3 }, { timeoutMs: 60_000 }),
    async () => consumer?.seek('latest'),
    () => broker.topics.delete(other),
    () => broker.store.lock('job', { ttlMs: 1_000, waitMs: 60_000 }, async () => {}),
    () => broker.store.transaction((tx) => tx.query('SELECT 1')),
    () => broker.store.transaction(() => producer.send(orders, { n: 4 })),
  ]
  await broker.store.transaction(async (tx) => {
    await tx.query('SELECT 1')
    for (const ask of asks)
      await expect(ask()).rejects.toSatisfy(
        (error) =>
          isMessagingError(error, 'invalid') && /for ever.*transaction|transaction.*for ever/.test(error.message),
      )
    expect((await broker.lag(orders, { group: 'g' })).backlog).toBe(1)
  })
  expect(await producer.cancel({ id: 'x', topic: 'orders' })).toBe('unknown')
  await broker.store.transaction((tx) => tx.query('SELECT 1'))
  await broker.close()
})
