import { expect, test } from 'vitest'
import { keptKeeper, storeDouble } from '../../test/keeper-double.ts'
import { settled } from '../../test/manual-clock.ts'
import { type RigOptions, sendingRig } from '../../test/sending-rig.ts'
import { isMessagingError, MessagingError } from '../errors.ts'
import type { SendExtension } from '../face/extending.ts'
import type { Codec } from '../face/messages.ts'
import type { Transaction } from '../face/stores.ts'
import { topic, topicParts, topicSpec } from '../topic.ts'
import { createProducer } from './producer.ts'

const t = topic<unknown>('t')
const tx: Transaction = { query: async () => ({ rows: [] }) }

function setUp(options: RigOptions = {}, producing: Parameters<typeof createProducer>[1] = {}) {
  const rig = sendingRig(options)
  rig.auto((flight) => flight.ok())
  return { rig, producer: createProducer(rig.runtime, producing) }
}
/** What a promise was refused with: code and text. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'resolved',
    (reason: unknown) => reason,
  )
  return isMessagingError(error) ? `${error.code} ${error.message}` : String(error)
}
const away = (): MessagingError => new MessagingError('unavailable', 'away')

test('a message carries what topic, body and options say', async () => {
  const { rig, producer } = setUp()
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

test('a topic is declared once, before its first message, and nothing overtakes meanwhile', async () => {
  let open: () => void = () => {}
  let declarations = 0
  const { rig, producer } = setUp({
    declare: async (each) => {
      declarations++
      await new Promise<void>((resolve) => {
        open = resolve
      })
      return topicSpec(topicParts(each), 'rig')
    },
  })
  const all = [1, 2, 3].map((body) => producer.send(t, body, { id: `${body}` }))
  await settled()
  expect(rig.flights).toEqual([])
  open()
  const late = Promise.resolve().then(() => producer.send(t, 4, { id: '4' }))
  await Promise.all([...all, late])
  expect(rig.flights.flatMap(({ messages }) => messages.map(({ id }) => id))).toEqual(['1', '2', '3', '4'])
  expect(declarations).toBe(1)
})

test('a declaration that fails fails what waits, and is tried again by the next send', async () => {
  let fail = true
  const { producer } = setUp({
    declare: async (each) => {
      if (fail) throw new MessagingError('unauthorized', 'no right to declare t')
      return topicSpec(topicParts(each), 'rig')
    },
  })
  expect(await refusal(producer.send(t, 1))).toBe('unauthorized no right to declare t')
  fail = false
  expect((await producer.send(t, 1)).held).toBe('broker')
})

test('a declaration that hangs holds nobody beyond the deadline', async () => {
  let open: () => void = () => {}
  const { rig, producer } = setUp({
    declare: async (each) => {
      await new Promise<void>((resolve) => {
        open = resolve
      })
      return topicSpec(topicParts(each), 'rig')
    },
  })
  const sent = refusal(producer.send(t, 1, { id: '1' }))
  await rig.clock.advance(10_000)
  expect(await sent).toBe(
    'timeout t 1 was not confirmed within 10000 ms; the buffer was full, or its topic was not ready',
  )
  const next = producer.send(t, 2, { id: '2' })
  open()
  expect((await next).id).toBe('2')
  expect(rig.flights.flatMap(({ messages }) => messages.map(({ id }) => id))).toEqual(['2'])
})

test('the first use of a topic may be inside a transaction of a store with one writer', async () => {
  const ends: (() => void)[] = []
  const asked: (Transaction | undefined)[] = []
  const { rig, producer } = setUp({
    traits: { transactional: true },
    storeIsDriver: true,
    store: storeDouble(),
    declare: async (each, _signal, inside) => {
      asked.push(inside)
      if (inside === undefined) await new Promise<void>((resolve) => ends.push(resolve))
      return topicSpec(topicParts(each), 'rig')
    },
  })
  expect((await producer.send(t, 1, { tx })).held).toBe('broker')
  expect((await producer.send(t, 1, { tx })).held).toBe('broker')
  const outside = producer.send(t, 1)
  await settled()
  expect(asked).toEqual([tx, undefined, tx, undefined])
  for (const end of ends) end()
  await outside
  expect((await producer.send(t, 1, { tx })).held).toBe('broker')
  expect(asked.length).toBe(4)
  expect(rig.flights.length).toBe(4)
})

test('messages of a topic keep the order of their sends although their codec takes its time', async () => {
  const { rig, producer } = setUp()
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
  const { rig, producer } = setUp()
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

test('a middleware that sends twice: twice by itself, and once in what has one fate', async () => {
  const twice: SendExtension = {
    send: (next) => async (out) => {
      await next(out)
      return next(out)
    },
  }
  const { rig, producer } = setUp({}, { use: [twice] })
  await producer.send(t, 1, { id: '1' })
  expect(rig.flights.map(({ messages }) => messages.length)).toEqual([1, 1])
  const batch = producer.sendBatch(t, [{ body: 1 }, { body: 2 }], { atomic: true })
  expect((await batch).map((each) => !each.ok && each.error.message)).toEqual([
    'a send middleware sent a message of a batch twice; call next once',
    'a send middleware sent a message of a batch twice; call next once',
  ])
})

test('what is wrong is refused at once and named', async () => {
  const { rig, producer } = setUp({ traits: { priority: false } })
  const refused = (options: object, on = t): Promise<string> => refusal(producer.send(on, 1, options))
  const cases: [object, RegExp][] = [
    [{ delay: 5 }, /invalid send\(\): there is no option "delay"; did you mean delayMs\?/],
    [{ headers: 'x' }, /headers is "x"; give an object/],
    [{ headers: { 'ph-id': 'x' } }, /header "ph-id" is a name of ours/],
    [{ headers: { 'Content-Type': 'x' } }, /is a name of ours/],
    [{ headers: { a: 5 } }, /header "a" is 5; give a string/],
    [{ headers: { 'a\r\nb': 'x' } }, /has a name that not every broker carries/],
    [{ headers: JSON.parse('{"__proto__":"x"}') }, /has a name that not every broker carries/],
    [{ headers: { a: 'x\0' } }, /has a value with NUL/],
    [{ headers: { a: '\ud800' } }, /has a value with NUL or half a surrogate pair/],
    [{ headers: { a: 'x'.repeat(32_768) } }, /too-large .* 1 headers of 32769 characters/],
    [{ headers: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`h${n}`, ''])) }, /too-large .* 101 headers/],
    [{ id: '' }, /id is ""; give text of 1 to 255 characters/],
    [{ id: 'x'.repeat(256) }, /text of 1 to 255 characters/],
    [{ id: 'ä'.repeat(128) }, /text of at most 255 bytes/],
    [{ id: 5 }, /id is 5/],
    [{ key: 'x\0' }, /text without NUL/],
    [{ key: '' }, /key is ""/],
    [{ tag: 'a\nb' }, /tag is "a\\nb"; give text without control characters/],
    [{ delayMs: Number.NaN }, /delayMs is NaN; give ms from 0/],
    [{ delayMs: -1 }, /delayMs is -1/],
    [{ delayMs: 2 ** 53 }, /delayMs is 9007199254740992/],
    [{ delayMs: 1, deliverAt: new Date() }, /both delayMs and deliverAt/],
    [{ deliverAt: new Date(Number.NaN) }, /deliverAt is an invalid Date/],
    [{ deliverAt: new Date(8.64e15) }, /deliverAt is a Date; give a time within the next ten years/],
    [{ expiresInMs: 0 }, /expiresInMs is 0/],
    [{ priority: 10 }, /priority is 10; give a whole number from 0 to 9/],
    [{ priority: 1 }, /unsupported rig has no priorities/],
    [{ partition: 8 }, /partition is 8; give a whole number from 0 to 7/],
    [{ tx: {} }, /tx is an object; give what runs inside your open transaction/],
    [{ tx: { query() {}, totalCount: 3 } }, /the open transaction itself/],
    [{ signal: {} }, /signal is an object; give an AbortSignal/],
    [[], /its options are an array; give an object/],
  ]
  for (const [options, text] of cases) expect(await refused(options)).toMatch(text)
  expect(await refused({}, 'orders' as never)).toMatch(/invalid "orders" is no topic; make one by topic/)
  expect(await refused({}, null as never)).toMatch(/null is no topic/)
  expect(await refused({}, { name: 'x' } as never)).toMatch(/an object is no topic/)
  const throwing = topic<null>('throwing', { key: (body) => (body as unknown as { x: string }).x })
  expect(await refusal(producer.send(throwing, null))).toMatch(
    /invalid topic throwing: its key function failed on a body/,
  )
  const odd = topic<unknown>('odd', { key: () => 5 as unknown as string })
  expect(await refusal(producer.send(odd, 1))).toMatch(/what its key function returned is 5/)
  expect(await refusal(producer.send(topic<unknown>('big'), 'x'.repeat(1_048_575)))).toMatch(/too-large the body of/)
  expect(rig.flights).toEqual([])
  expect(producer.stats()).toMatchObject({ failed: cases.length + 6, sent: 0, pending: 0 })
})

test('the largest body is raised by the producer, as far as the broker goes', async () => {
  const { rig } = setUp()
  rig.auto((flight) => flight.ok())
  const larger = createProducer(rig.runtime, { maxBytes: 2_000_000 })
  expect((await larger.send(topic<unknown>('big'), 'x'.repeat(1_048_575))).held).toBe('broker')
  expect(() => createProducer(rig.runtime, { maxBytes: 10_000_001 })).toThrow(
    /maxBytes: 10000001.*at most 10000000 bytes/,
  )
})

test('a producer is made of right options', () => {
  const { rig } = setUp()
  const made = (options: unknown) => (): unknown => createProducer(rig.runtime, options as object)
  expect(made({ bufer: 5 })).toThrow('producer(): there is no option "bufer"; did you mean buffer?')
  expect(made({ buffer: 0 })).toThrow('buffer is 0; give a whole number from 1')
  expect(made({ sendTimeoutMs: Infinity })).toThrow('sendTimeoutMs is Infinity; give ms')
  expect(made({ use: [{ consume: () => {} }] })).toThrow(
    'use is an array; give a list whose item 0 is an extension with send',
  )
  expect(made({ spool: true })).toThrow(
    "producer({ spool: true }) on rig needs a store; give connect() one, such as store: 'sqlite:./data/app.db'",
  )
})

test('a closed broker refuses', async () => {
  const { rig, producer } = setUp()
  rig.close()
  for (const call of [
    producer.send(t, 1),
    producer.sendBatch(t, [{ body: 1 }]),
    producer.cancel({ id: 'x', topic: 't' }),
    producer.sendHalf(t, 1, async () => {}),
  ])
    expect(await refusal(call)).toMatch(/^closed /)
  producer.post(t, 1)
  expect(producer.stats()).toMatchObject({ posted: 0, failed: 2 })
})

test('sendBatch gives each message its own answer', async () => {
  const { rig, producer } = setUp()
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
  const { rig, producer } = setUp({ traits: { maxBatch: 2 } })
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
  const without = setUp({ traits: { atomic: false } })
  expect(await refusal(without.producer.sendBatch(t, [{ body: 1 }], { atomic: true }))).toMatch(
    /unsupported rig cannot send a batch atomically/,
  )
})

test('post never throws and never waits; it is counted, dropped when the buffer is full, and its failure is an event', async () => {
  const { rig, producer } = setUp({}, { buffer: 2 })
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

test('events tell what was sent, how long it took, and what failed', async () => {
  const { rig, producer } = setUp()
  const heard: unknown[] = []
  rig.runtime.events.on('sent', (event) => heard.push(event))
  rig.runtime.events.on('send-failed', ({ id, error }) => heard.push(`${id} ${error.code}`))
  rig.auto((flight) => rig.clock.after(7, () => flight.ok()))
  const sent = producer.send(t, 1, { id: '1' })
  await rig.clock.advance(7)
  await sent
  rig.auto((flight) => flight.fail(new MessagingError('unroutable', 'nobody')))
  await refusal(producer.send(t, 1, { id: '2' }))
  expect(heard).toEqual([{ id: '1', topic: 't', ms: 7 }, '2 unroutable'])
})

test('flush waits for what was sent before it and for nothing else', async () => {
  const { rig, producer } = setUp({ traits: { inFlight: 9 } })
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

test('middlewares wrap a send, the first outermost, those of the broker around those of the producer', async () => {
  const steps: string[] = []
  const note = (name: string): SendExtension => ({
    send: (next) => async (out) => {
      steps.push(`${name} ${out.key}`)
      const receipt = await next({ ...out, headers: { ...out.headers, [name]: 'x' } })
      steps.push(`/${name}`)
      return receipt
    },
  })
  const { rig, producer } = setUp(
    { use: [note('a')] },
    { use: [note('b'), { send: (next) => (out) => next({ ...out, body: { changed: out.body }, tag: 'new' }) }] },
  )
  const keyed = topic<string>('keyed', { key: (body) => body })
  await producer.send(keyed, 'k', { headers: { own: '1' } })
  await producer.sendBatch(keyed, [{ body: 'l' }])
  producer.post(keyed, 'm')
  await producer.flush()
  await producer.sendBatch(keyed, [{ body: 'n' }], { atomic: true })
  expect(steps.slice(0, 4)).toEqual(['a k', 'b k', '/b', '/a'])
  const messages = rig.flights.flatMap((flight) => flight.messages)
  expect(
    messages.map(({ key, tag, headers, body }) => [key, tag, headers['a'], headers['b'], Buffer.from(body).toString()]),
  ).toEqual(['k', 'l', 'm', 'n'].map((key) => [key, 'new', 'x', 'x', `{"changed":"${key}"}`]))
  expect(messages[0]?.headers).toEqual({ own: '1', a: 'x', b: 'x' })
  expect(producer.stats()).toMatchObject({ sent: 4, failed: 0, pending: 0 })
})

test('a middleware that misbehaves is told so, and its own errors come through', async () => {
  const faults: SendExtension['send'][] = [
    (next) =>
      ({ id, topic: name, headers, body }) =>
        next({ id, topic: name, headers, body }),
    (next) => (out) => next({ ...out, topic: 'other' }),
    (next) => (out) => next({ ...out, headers: { 'ph-id': 'forged' } }),
    (next) => (out) => next({ ...out, delayMs: -5 }),
    () => async () => {
      throw new RangeError('mine')
    },
    () => () => {
      throw new RangeError('at once')
    },
  ]
  const texts: string[] = []
  for (const send of faults) {
    const { rig, producer } = setUp({}, { use: [{ send }] })
    texts.push(await refusal(producer.send(t, 1)))
    expect(rig.flights).toEqual([])
    expect(producer.stats()).toMatchObject({ failed: 1, pending: 0 })
    const [batch] = await producer.sendBatch(t, [{ body: 1 }], { atomic: true })
    expect(batch?.ok).toBe(false)
    producer.post(t, 1)
    await producer.flush()
    expect(producer.stats()).toMatchObject({ failed: 3, pending: 0 })
  }
  expect(texts).toEqual([
    'invalid a send middleware passed on a message of its own; pass on { ...out, changes }',
    'invalid a send middleware changed the topic from t to other; send to the other topic by a producer of your own',
    'invalid a message for t: header "ph-id" is a name of ours; names that begin with ph- and content-type are taken',
    'invalid what a send middleware passed on: delayMs is -5; give ms from 0 to 316224000000',
    'RangeError: mine',
    'RangeError: at once',
  ])
})

test('a delay goes the way that rule 9 says', async () => {
  const delayed = { id: 'd', delayMs: 500 }
  const plain = setUp()
  expect(await refusal(plain.producer.send(t, 1, delayed))).toMatch(/unsupported a delayed send on rig needs a store/)
  const native = setUp({ traits: { delay: 'any', maxDelayMs: 1_000 } })
  expect(await native.producer.send(t, 1, delayed)).toMatchObject({
    held: 'broker',
    dueAt: new Date(native.rig.clock.now() + 500),
  })
  expect(native.rig.flights[0]?.messages[0]?.notBefore).toBe(native.rig.clock.now() + 500)
  expect(await refusal(native.producer.send(t, 1, { delayMs: 1_001 }))).toMatch(
    /unsupported a delay of 1001 ms on rig needs a store/,
  )
  const past = await native.producer.send(t, 1, { deliverAt: new Date(0) })
  expect(past.dueAt).toBeUndefined()
  const keeper = keptKeeper()
  const separate = setUp({ traits: { delay: 'any', maxDelayMs: 1_000 }, keeper, store: storeDouble() })
  expect(await separate.producer.send(t, 1, { ...delayed, expiresInMs: 10 })).toMatchObject({
    held: 'schedule',
    dueAt: new Date(separate.rig.clock.now() + 500),
  })
  expect(keeper.kept).toEqual([{ as: 'schedule', ids: ['d'], tx: undefined }])
  expect(keeper.messages[0]).toMatchObject({
    notBefore: separate.rig.clock.now() + 500,
    expiresAt: separate.rig.clock.now() + 510,
  })
  const own = setUp({
    traits: { delay: 'any', maxDelayMs: 1_000 },
    keeper: keptKeeper(),
    store: storeDouble(),
    storeIsDriver: true,
  })
  expect((await own.producer.send(t, 1, delayed)).held).toBe('broker')
  expect((await own.producer.send(t, 1, { delayMs: 2_000 })).held).toBe('schedule')
  const nobody = setUp({ store: storeDouble(true) })
  expect(await refusal(nobody.producer.send(t, 1, delayed))).toMatch(/needs @posthorn\/reliability/)
  const lean = setUp({ store: storeDouble(false) })
  expect(await refusal(lean.producer.send(t, 1, delayed))).toMatch(
    /needs a store that holds messages, and double holds none/,
  )
})

test('delayed sends of one turn are one insert, and an atomic batch of them is too', async () => {
  const keeper = keptKeeper()
  const { producer } = setUp({ keeper, store: storeDouble() })
  await Promise.all(['1', '2', '3'].map((id) => producer.send(t, 1, { id, delayMs: 5 })))
  const batch = await producer.sendBatch(
    t,
    [
      { body: 1, id: '4', delayMs: 5 },
      { body: 1, id: '5', delayMs: 5 },
    ],
    { atomic: true },
  )
  expect(batch.map((each) => each.ok && each.receipt.held)).toEqual(['schedule', 'schedule'])
  expect(keeper.kept.map(({ ids }) => ids)).toEqual([
    ['1', '2', '3'],
    ['4', '5'],
  ])
  const mixed = await producer.sendBatch(t, [{ body: 1, delayMs: 5 }, { body: 1 }], { atomic: true })
  expect(mixed.map((each) => !each.ok && each.error.code)).toEqual(['unsupported', 'unsupported'])
  keeper.before = async () => {
    throw new MessagingError('unavailable', 'the store is away')
  }
  expect(await refusal(producer.send(t, 1, { delayMs: 5 }))).toBe('unavailable the store is away')
  expect(producer.stats()).toMatchObject({ sent: 5, failed: 3, pending: 0 })
})

test('a send with tx goes into the caller’s transaction: natively, or as a row of the outbox', async () => {
  const calls: unknown[] = []
  const native = setUp({
    traits: { transactional: true },
    storeIsDriver: true,
    store: storeDouble(),
    driver: {
      async send(batch, control) {
        calls.push(
          batch.map(({ id }) => id),
          control.tx,
        )
        return batch.map(({ id }) => ({ ok: true, position: id }))
      },
    },
  })
  expect(await native.producer.send(t, 1, { id: '1', tx })).toMatchObject({ held: 'broker', position: '1' })
  const [first] = await native.producer.sendBatch(
    t,
    [
      { body: 1, id: '2' },
      { body: 1, id: '3' },
    ],
    { tx },
  )
  expect(first?.ok).toBe(true)
  expect(calls).toEqual([['1'], tx, ['2', '3'], tx])
  const keeper = keptKeeper()
  const outbox = setUp({ keeper, store: storeDouble() })
  expect(await outbox.producer.send(t, 1, { id: '1', tx, delayMs: 5 })).toMatchObject({
    held: 'outbox',
    dueAt: expect.any(Date),
  })
  await outbox.producer.sendBatch(
    t,
    [
      { body: 1, id: '2' },
      { body: 1, id: '3' },
    ],
    { tx, atomic: true },
  )
  expect(keeper.kept).toEqual([
    { as: 'outbox', ids: ['1'], tx },
    { as: 'outbox', ids: ['2', '3'], tx },
  ])
  expect(outbox.rig.flights).toEqual([])
  // Known from now on, so that the relay finds its codec and its declaration.
  expect(outbox.rig.declared).toEqual(['t'])
  expect(await refusal(setUp().producer.send(t, 1, { tx }))).toMatch(/unsupported a send with tx on rig needs a store/)
})

test('a send with tx has the same deadline', async () => {
  const keeper = keptKeeper()
  keeper.before = () => new Promise(() => {})
  const { rig, producer } = setUp({ keeper, store: storeDouble() })
  const sent = producer.send(t, 1, { tx }).catch((error: MessagingError) => [error.code, error.outcome])
  await rig.clock.advance(10_000)
  expect(await sent).toEqual(['timeout', 'unknown'])
  expect(producer.stats()).toMatchObject({ unknown: 1, pending: 0 })
  const codec: Codec = { contentType: 'x/never', encode: () => new Promise(() => {}), decode: (bytes) => bytes }
  const never = producer.send(topic('never', { codec }), 1, { tx }).catch((error: MessagingError) => error.code)
  const batch = producer.sendBatch(topic('never', { codec }), [{ body: 1 }], { atomic: true })
  await rig.clock.advance(10_000)
  expect(await never).toBe('timeout')
  expect((await batch).map((each) => each.ok)).toEqual([false])
})

test('the spool takes what fails for good or stays unknown, and the key’s later messages after it', async () => {
  const keeper = keptKeeper()
  const { rig, producer } = setUp(
    { keeper, store: storeDouble(), traits: { inFlight: 4 } },
    { spool: true, sendTimeoutMs: 1_000 },
  )
  rig.auto((flight) => flight.fail(away()))
  const sends = ['1', '2'].map((id) => producer.send(t, 1, { id, key: 'k' }))
  await rig.clock.advance(500)
  sends.push(producer.send(t, 1, { id: '3', key: 'k' }))
  await rig.clock.advance(500)
  expect((await Promise.all(sends)).map(({ held }) => held)).toEqual(['spool', 'spool', 'spool'])
  expect(keeper.kept.flatMap(({ ids }) => ids)).toEqual(['1', '2', '3'])
  rig.auto((flight) => flight.ok())
  expect((await producer.send(t, 1, { id: '4', key: 'k' })).held).toBe('spool')
  expect((await producer.send(t, 1, { id: '5', key: 'j' })).held).toBe('broker')
  expect((await producer.send(t, 1, { id: '6' })).held).toBe('broker')
  keeper.spool.clear()
  expect((await producer.send(t, 1, { id: '7', key: 'k' })).held).toBe('broker')
  expect(producer.stats()).toMatchObject({ sent: 7, failed: 0, pending: 0 })
})

test('the spool takes retryable failures only, and a spool that fails itself is told', async () => {
  const keeper = keptKeeper()
  const { rig, producer } = setUp({ keeper, store: storeDouble() }, { spool: true, sendTimeoutMs: 1_000 })
  rig.auto((flight) => flight.fail(new MessagingError('unroutable', 'nobody')))
  expect(await refusal(producer.send(t, 1, { key: 'k' }))).toBe('unroutable nobody')
  expect(keeper.kept).toEqual([])
  rig.auto((flight) => flight.fail(away()))
  keeper.before = async () => {
    throw new MessagingError('unavailable', 'the store is away')
  }
  const lost = refusal(producer.send(t, 1, { id: '1', key: 'k' }))
  await rig.clock.advance(1_000)
  expect(await lost).toBe(
    'timeout t 1 was not confirmed within 1000 ms; the last try ended with unavailable: away; and it could not be spooled: the store is away',
  )
  keeper.before = () => new Promise(() => {})
  const hanging = producer.send(t, 1, { key: 'j' }).catch((error: MessagingError) => error.outcome)
  await rig.clock.advance(2_000)
  expect(await hanging).toBe('unknown')
})

test('while a key is on its way into the spool its next message follows it', async () => {
  const keeper = keptKeeper()
  let release = (): void => {}
  keeper.before = () =>
    new Promise((resolve) => {
      release = resolve
    })
  const { rig, producer } = setUp({ keeper, store: storeDouble() }, { spool: true, sendTimeoutMs: 1_000 })
  rig.auto((flight) => flight.fail(away()))
  const first = producer.send(t, 1, { id: '1', key: 'k' })
  await rig.clock.advance(1_000)
  rig.auto((flight) => flight.ok())
  const second = producer.send(t, 1, { id: '2', key: 'k' })
  await settled()
  release()
  await settled()
  release()
  expect([(await first).held, (await second).held]).toEqual(['spool', 'spool'])
  expect(keeper.kept.map(({ ids }) => ids)).toEqual([['1'], ['2']])
})

test('cancel and reschedule go to where the message waits', async () => {
  const ref = { id: 'x', topic: 't' }
  expect(await refusal(setUp().producer.cancel(ref))).toMatch(/unsupported cancel\(\) on rig needs a store/)
  const keeper = keptKeeper()
  const separate = setUp({
    traits: { cancel: true },
    keeper,
    store: storeDouble(),
    driver: { cancel: async () => 'too-late' },
  })
  expect(await separate.producer.cancel(ref, { tx })).toBe('cancelled')
  expect(await separate.producer.reschedule(ref, { delayMs: 10 })).toBe('rescheduled')
  expect(keeper.calls).toEqual(['cancel x', `reschedule x ${separate.rig.clock.now() + 10}`])
  const own = setUp({
    traits: { cancel: true },
    storeIsDriver: true,
    keeper: keptKeeper(),
    store: storeDouble(),
    driver: { cancel: async (id) => (id === 'kept' ? 'unknown' : 'too-late'), reschedule: async () => 'too-late' },
  })
  const receipt = await own.producer.send(t, 1)
  expect(await own.producer.cancel(receipt)).toBe('too-late')
  expect(await own.producer.cancel({ id: 'kept', topic: 't' })).toBe('cancelled')
  expect(await own.producer.reschedule(receipt, { deliverAt: new Date(0) })).toBe('too-late')
  for (const [call, text] of [
    [own.producer.cancel({ id: 'x' } as never), /invalid cancel\(\): topic is undefined/],
    [own.producer.cancel('x' as never), /the message is "x"; give an object/],
    [own.producer.reschedule(receipt, {} as never), /nobody says when/],
    [own.producer.reschedule(receipt, { delayMs: -1 }), /delayMs is -1/],
    [own.producer.reschedule(receipt, undefined as never), /when is undefined/],
  ] as const)
    expect(await refusal(call)).toMatch(text)
})

test('a half message is committed when its work resolves and rolled back when it throws', async () => {
  const keeper = keptKeeper()
  const { producer } = setUp({ keeper, store: storeDouble() })
  expect(await refusal(producer.sendHalf(t, 1, async () => 5))).toMatch(
    /invalid sendHalf\(\): nobody answers for half messages of t/,
  )
  keeper.check('t', async () => 'unknown')
  const { receipt, result } = await producer.sendHalf(t, 1, async ({ id }) => `${id} done`, { id: 'h', key: 'k' })
  expect([receipt, result]).toEqual([{ id: 'h', topic: 't', held: 'outbox', position: undefined }, 'h done'])
  expect(keeper.calls).toEqual(['prepare h', 'commit'])
  const failed = producer.sendHalf(t, 1, async () => {
    throw new RangeError('mine')
  })
  expect(await refusal(failed)).toBe('RangeError: mine')
  expect(keeper.calls.slice(2)).toEqual([expect.stringMatching(/^prepare/), 'rollback'])
  expect(await refusal(producer.sendHalf(t, 1, 5 as never))).toMatch(/the work is 5; give a function/)
  expect(await refusal(producer.sendHalf(t, 1, async () => {}, { delayMs: 5 } as never))).toMatch(
    /there is no option "delayMs"/,
  )
  expect(await refusal(setUp().producer.sendHalf(t, 1, async () => {}))).toMatch(
    /unsupported sendHalf\(\) on rig needs a store/,
  )
  expect(producer.stats()).toMatchObject({ sent: 1, pending: 0 })
})

test('a request carries the address for its answer', async () => {
  const { rig, producer } = setUp()
  await producer.sendRequest(t, 1, { id: 'q' }, { replyTo: '~reply.x', correlationId: 'q' })
  expect(rig.flights[0]?.messages[0]).toMatchObject({ replyTo: '~reply.x', correlationId: 'q' })
})
