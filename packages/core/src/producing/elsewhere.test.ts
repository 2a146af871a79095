import { expect, test } from 'vitest'
import { keptKeeper, storeDouble } from '../../test/keeper-double.ts'
import { settled } from '../../test/manual-clock.ts'
import { away, producing, refusal, t, tx } from '../../test/producing.ts'
import { MessagingError } from '../errors.ts'
import type { Codec } from '../face/messages.ts'
import { topic } from '../topic.ts'

test('a delay goes the way that rule 9 says', async () => {
  const delayed = { id: 'd', delayMs: 500 }
  const plain = producing()
  expect(await refusal(plain.producer.send(t, 1, delayed))).toMatch(/unsupported a delayed send on rig needs a store/)
  const native = producing({ traits: { delay: 'any', maxDelayMs: 1_000 } })
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
  const separate = producing({ traits: { delay: 'any', maxDelayMs: 1_000 }, keeper, store: storeDouble() })
  expect(await separate.producer.send(t, 1, { ...delayed, expiresInMs: 10 })).toMatchObject({
    held: 'schedule',
    dueAt: new Date(separate.rig.clock.now() + 500),
  })
  expect(keeper.kept).toEqual([{ as: 'schedule', ids: ['d'], tx: undefined }])
  expect(keeper.messages[0]).toMatchObject({
    notBefore: separate.rig.clock.now() + 500,
    expiresAt: separate.rig.clock.now() + 510,
  })
  const own = producing({
    traits: { delay: 'any', maxDelayMs: 1_000 },
    keeper: keptKeeper(),
    store: storeDouble(),
    storeIsDriver: true,
  })
  expect((await own.producer.send(t, 1, delayed)).held).toBe('broker')
  expect((await own.producer.send(t, 1, { delayMs: 2_000 })).held).toBe('schedule')
  const nobody = producing({ store: storeDouble(true) })
  expect(await refusal(nobody.producer.send(t, 1, delayed))).toMatch(/needs @posthorn\/reliability/)
  const lean = producing({ store: storeDouble(false) })
  expect(await refusal(lean.producer.send(t, 1, delayed))).toMatch(
    /needs a store that holds messages, and double holds none/,
  )
})

test('delayed sends of one turn are one insert, and an atomic batch of them is too', async () => {
  const keeper = keptKeeper()
  const { producer } = producing({ keeper, store: storeDouble() })
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
  const native = producing({
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
  const outbox = producing({ keeper, store: storeDouble() })
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
  expect(await refusal(producing().producer.send(t, 1, { tx }))).toMatch(
    /unsupported a send with tx on rig needs a store/,
  )
})

test('a send with tx has the same deadline', async () => {
  const keeper = keptKeeper()
  keeper.before = () => new Promise(() => {})
  const { rig, producer } = producing({ keeper, store: storeDouble() })
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
  const { rig, producer } = producing(
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
  const { rig, producer } = producing({ keeper, store: storeDouble() }, { spool: true, sendTimeoutMs: 1_000 })
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
  const { rig, producer } = producing({ keeper, store: storeDouble() }, { spool: true, sendTimeoutMs: 1_000 })
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
  expect(await refusal(producing().producer.cancel(ref))).toMatch(/unsupported cancel\(\) on rig needs a store/)
  const keeper = keptKeeper()
  const separate = producing({
    traits: { cancel: true },
    keeper,
    store: storeDouble(),
    driver: { cancel: async () => 'too-late' },
  })
  expect(await separate.producer.cancel(ref, { tx })).toBe('cancelled')
  expect(await separate.producer.reschedule(ref, { delayMs: 10 })).toBe('rescheduled')
  expect(keeper.calls).toEqual(['cancel x', `reschedule x ${separate.rig.clock.now() + 10}`])
  const own = producing({
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
  const { producer } = producing({ keeper, store: storeDouble() })
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
  expect(await refusal(producing().producer.sendHalf(t, 1, async () => {}))).toMatch(
    /unsupported sendHalf\(\) on rig needs a store/,
  )
  expect(producer.stats()).toMatchObject({ sent: 1, pending: 0 })
})

test('a request carries the address for its answer', async () => {
  const { rig, producer } = producing()
  await producer.sendRequest(t, 1, { id: 'q' }, { replyTo: '~reply.x', correlationId: 'q' })
  expect(rig.flights[0]?.messages[0]).toMatchObject({ replyTo: '~reply.x', correlationId: 'q' })
})
