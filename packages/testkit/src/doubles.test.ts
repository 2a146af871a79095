import { connectAdapter, fixed, reject, retry, topic } from '@posthorn/core'
import { memory } from '@posthorn/memory'
import { describe, expect, test } from 'vitest'
import { delivery } from './delivery.ts'
import { checker } from './ledger/checker.ts'
import { fileLedger } from './ledger/file.ts'
import { faultProxy } from './proxy/proxy.ts'
import { spy } from './spy.ts'
import { transcript } from './transcript.ts'

const orders = topic<{ id: string }>('orders', { key: ({ id }) => id })

test('a slip is refused where it is made', async () => {
  expect(() => delivery(orders, { id: '1' }, { attemt: 2 } as never)).toThrow('did you mean attempt?')
  expect(() => delivery('orders' as never, {} as never)).toThrow('give what topic() or pattern() returned')
  const broker = await connectAdapter(memory(), { log: false })
  const seen = spy(broker)
  expect(() => seen.seen('handeld' as never)).toThrow("did you mean 'handled'?")
  expect(() => seen.all('handeld' as never)).toThrow("did you mean 'handled'?")
  expect(() => seen.seen('handled', { within: 5 } as never)).toThrow('did you mean withinMs?')
  await broker.close()
  await expect(faultProxy(undefined as never)).rejects.toThrow('to is undefined; give { host, port } of the server')
  await expect(faultProxy({ to: { host: '127.0.0.1', prt: 5 } } as never)).rejects.toThrow('did you mean port?')
  expect(() => checker({ ordred: [] } as never)).toThrow('did you mean ordered?')
  expect(() => checker({ limits: { drain: 5 } } as never)).toThrow('did you mean drainMs?')
  expect(() => fileLedger('x', 'y', { durabel: false } as never)).toThrow('did you mean durable?')
})

describe('a delivery by hand', () => {
  test('has what a handler reads, with the key of its topic, and takes what the test wants', async () => {
    const given = delivery(orders, { id: '42' }, { attempt: 3, headers: { a: '1' } })
    expect(given).toMatchObject({ body: { id: '42' }, key: '42', topic: 'orders', attempt: 3, headers: { a: '1' } })
    expect(given.signal.aborted).toBe(false)
  })

  test('remembers what the handler sends', async () => {
    const given = delivery(orders, { id: '1' })
    await given.producer.send(orders, { id: '2' }, { delayMs: 5 })
    given.producer.post(orders, { id: '3' })
    const [batch] = await given.producer.sendBatch(orders, [{ body: { id: '4' }, key: 'k' }])
    expect(batch?.ok).toBe(true)
    expect(given.producer.sent).toMatchObject([
      { topic: 'orders', body: { id: '2' }, options: { delayMs: 5 } },
      { body: { id: '3' } },
      { body: { id: '4' }, options: { key: 'k' } },
    ])
  })
})

describe('a spy', () => {
  test('awaits outcomes, past and to come, and says what there was when none fits', async () => {
    await using broker = await connectAdapter(memory(), { log: false })
    const spied = spy(broker)
    await broker.consume(orders, { group: 'g', use: [retry({ attempts: 2, backoff: fixed(1) })] }, async ({ body }) => {
      if (body.id === 'bad') throw new Error('no')
    })
    const { id } = await broker.producer().send(orders, { id: 'good' })
    expect(await spied.seen('handled', { id })).toMatchObject({ topic: 'orders', group: 'g', attempt: 1 })
    const bad = await broker.producer().send(orders, { id: 'bad' })
    expect(await spied.seen('dead-letter', { id: bad.id })).toMatchObject({ reason: 'attempts', attempts: 2 })
    expect(await spied.seen('retry', { where: ({ attempt }) => attempt === 1 })).toMatchObject({ id: bad.id })
    await expect(spied.seen('handled', { id: bad.id, withinMs: 20 })).rejects.toThrow(/1 'handled'.*1 'dead-letter'/)
    spied.clear()
    expect(spied.all('sent')).toEqual([])
    spied.stop()
  })
})

describe('a transcript', () => {
  test('is the same however keys were interleaved', async () => {
    await using broker = await connectAdapter(memory(), { log: false })
    const record = transcript()
    const watch = spy(broker)
    await broker.consume(
      orders,
      { group: 'g', use: [retry({ attempts: 2, backoff: fixed(1) }), record.extension] },
      async ({ body, attempt }) => {
        if (body.id === 'b' && attempt === 1) throw new Error('no')
        if (body.id === 'c') return reject('never')
      },
    )
    for (const id of ['c', 'b', 'a']) await broker.producer().send(orders, { id })
    await watch.seen('handled', { where: ({ attempt }) => attempt === 2 })
    await watch.seen('dead-letter')
    await watch.seen('handled', { where: ({ attempt }) => attempt === 1 })
    expect(record.normalised().split('\n')).toEqual([
      'orders g a {"id":"a"} 1 ack',
      'orders g b {"id":"b"} 1 threw',
      'orders g b {"id":"b"} 2 ack',
      'orders g c {"id":"c"} 1 reject',
    ])
  })
})
