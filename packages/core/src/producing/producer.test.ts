import { expect, test } from 'vitest'
import { settled } from '../../test/manual-clock.ts'
import { producing, refusal, t } from '../../test/producing.ts'
import { MessagingError } from '../errors.ts'
import type { Codec } from '../face/messages.ts'
import { topic } from '../topic.ts'

test('a message carries what topic, body and options say', async () => {
  const { rig, producer } = producing()
  const orders = topic<{ id: number }>('orders', {
    key: (order) => `k${order.id}`,
    expiresInMs: 1_000,
    priority: 2,
    version: 3,
    partitions: 4,
  })
  const receipt = await producer.send(
    orders,
    { id: 7 },
    { id: 'x', tag: 'paid', headers: { a: '1', b: undefined }, partition: 3 },
  )
  expect(receipt).toEqual({ id: 'x', topic: 'orders', held: 'broker', position: 'x' })
  expect(rig.flights[0]?.messages[0]).toEqual({
    id: 'x',
    topic: 'orders',
    key: 'k7',
    tag: 'paid',
    headers: { a: '1' },
    body: Buffer.from('{"id":7}'),
    contentType: 'application/json',
    sentAt: rig.clock.now(),
    expiresAt: rig.clock.now() + 1_000,
    priority: 2,
    version: 3,
    generation: 0,
    failures: 0,
    history: [],
    lone: 0,
    replyTo: undefined,
    correlationId: undefined,
    group: undefined,
    partition: 3,
    notBefore: undefined,
    letter: undefined,
  })
  await producer.send(orders, { id: 7 }, { key: 'own', priority: 9, expiresInMs: 5 })
  expect(rig.flights[1]?.messages[0]).toMatchObject({ key: 'own', priority: 9, expiresAt: rig.clock.now() + 5 })
  expect(rig.flights[1]?.messages[0]?.id).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
})

test('messages of a topic keep the order of their sends although their codec takes its time', async () => {
  const { rig, producer } = producing()
  const release: (() => void)[] = []
  const slow: Codec = {
    contentType: 'application/x-slow',
    encode: (value) =>
      value === 'bad'
        ? Promise.reject(new Error('no form'))
        : new Promise((resolve) => {
            release.push(() => resolve(Buffer.from(String(value))))
          }),
    decode: (bytes) => bytes,
  }
  const slowly = topic<string>('slow', { codec: slow })
  const all = ['1', 'bad', '2', '3'].map((body) => refusal(producer.send(slowly, body, { id: body })))
  release[2]?.()
  release[1]?.()
  await settled()
  expect(rig.flights).toEqual([])
  release[0]?.()
  expect(await Promise.all(all)).toEqual([
    'resolved',
    'codec the body for slow could not be encoded as application/x-slow: Error: no form',
    'resolved',
    'resolved',
  ])
  expect(rig.flights.flatMap(({ messages }) => messages.map(({ id }) => id))).toEqual(['1', '2', '3'])
  const never = refusal(producer.send(slowly, 'never', { id: 'never' }))
  await rig.clock.advance(10_000)
  expect(await never).toContain('timeout slow never')
})

test('a codec that is quick for the second message does not bring it before the first', async () => {
  const { rig, producer } = producing()
  let release = (): void => {}
  const uneven: Codec = {
    contentType: 'application/x-uneven',
    encode: (value) =>
      value === 'slow'
        ? new Promise((resolve) => {
            release = () => resolve(new Uint8Array(1))
          })
        : new Uint8Array(2),
    decode: (bytes) => bytes,
  }
  const on = topic<string>('uneven', { codec: uneven })
  await producer.send(on, 'first', { id: 'first' })
  const all = [producer.send(on, 'slow', { id: 'slow' }), producer.send(on, 'quick', { id: 'quick' })]
  await settled()
  release()
  await Promise.all(all)
  expect(rig.flights.flatMap(({ messages }) => messages.map(({ id }) => id))).toEqual(['first', 'slow', 'quick'])
})

test('post never throws and never waits; it is counted, dropped when the buffer is full, and its failure is an event', async () => {
  const { rig, producer } = producing({}, { buffer: 2 })
  const failures: string[] = []
  rig.runtime.events.on('send-failed', ({ topic: name, error }) => failures.push(`${name} ${error.code}`))
  producer.post(t, 1)
  producer.post(t, 1n)
  producer.post(t, 1, { nope: 1 } as never)
  producer.post(undefined as never, 1)
  producer.post(t, 2)
  producer.post(t, 3)
  await producer.flush()
  expect(producer.stats()).toEqual({ sent: 2, failed: 3, unknown: 0, posted: 2, dropped: 1, pending: 0 })
  expect(failures).toEqual(['t codec', 't invalid', ' invalid'])
})

test('flush waits for what was sent before it and for nothing else', async () => {
  const { rig, producer } = producing({ traits: { inFlight: 9 } })
  const held: (() => void)[] = []
  rig.auto((flight) => held.push(flight.ok))
  void producer.send(t, 1)
  await settled()
  const flushed = producer.flush().then(() => 'flushed')
  void producer.send(t, 2)
  await settled()
  held[0]?.()
  expect(await flushed).toBe('flushed')
  expect(producer.stats().pending).toBe(1)
  const again = producer.flush().then(() => 'flushed')
  expect(await Promise.race([again, settled().then(() => 'open')])).toBe('open')
  held[1]?.()
  expect(await again).toBe('flushed')
})

test('sendBatch gives each message its own answer', async () => {
  const { rig, producer } = producing()
  rig.auto((flight) =>
    flight.answer(
      flight.messages.map(({ id }) =>
        id === '2' ? { ok: false, error: new MessagingError('unroutable', 'nobody') } : { ok: true, position: id },
      ),
    ),
  )
  const sent = await producer.sendBatch(t, [
    { body: 1, id: '1' },
    { body: 2, id: '2' },
    { body: 3n, id: '3' },
    { body: 4, id: '4', prio: 3 } as never,
    5 as never,
    { body: 6, id: '6' },
  ])
  expect(sent.map((each) => (each.ok ? each.receipt.position : each.error.code))).toEqual([
    '1',
    'unroutable',
    'codec',
    'invalid',
    'invalid',
    '6',
  ])
  expect(rig.flights.length).toBe(1)
  expect(await producer.sendBatch(t, [])).toEqual([])
  expect(await refusal(producer.sendBatch(t, 5 as never))).toMatch(/the messages are 5; give a list/)
  expect(await refusal(producer.sendBatch(t, [], { atomik: true } as never))).toMatch(/did you mean atomic\?/)
})

test('an atomic batch is refused as a whole, and early where the broker has none', async () => {
  const { rig, producer } = producing({ traits: { maxBatch: 2 } })
  const codes = async (messages: readonly { body: unknown }[]): Promise<string[]> =>
    (await producer.sendBatch(t, messages, { atomic: true })).map((each) => (each.ok ? 'ok' : each.error.message))
  expect(await codes([{ body: 1 }, { body: 1n }])).toEqual([
    'nothing of the atomic batch was sent: its message 1 was refused',
    "json: a body for 't' cannot be written: $: a bigint has no form in JSON; send it as a string",
  ])
  expect(await refusal(codes([{ body: 1 }, { body: 1 }, { body: 1 }]))).toMatch(
    /too-large an atomic batch of 3 messages/,
  )
  expect(rig.flights).toEqual([])
  expect(await codes([{ body: 1 }, { body: 2 }])).toEqual(['ok', 'ok'])
  const without = producing({ traits: { atomic: false } })
  expect(await refusal(without.producer.sendBatch(t, [{ body: 1 }], { atomic: true }))).toMatch(
    /unsupported rig cannot send a batch atomically/,
  )
})
