import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { settled } from '../../test/manual-clock.ts'
import { type RigOptions, sendingRig } from '../../test/sending-rig.ts'
import { MessagingError } from '../errors.ts'
import { topic } from '../topic.ts'
import { createProducer } from './producer.ts'

const t = topic<string>('t')

/** Bodies of each batch so far. */
function batchesOf(rig: ReturnType<typeof sendingRig>): string[][] {
  return rig.flights.map(({ messages }) => messages.map(({ body }) => JSON.parse(Buffer.from(body).toString())))
}

function setUp(options: RigOptions, producing: Parameters<typeof createProducer>[1] = {}) {
  const rig = sendingRig(options)
  const producer = createProducer(rig.runtime, producing)
  const send = (body: string, key?: string, more?: object): Promise<string> =>
    producer.send(t, body, { key, id: body, ...more }).then(
      ({ held }) => held,
      (error: MessagingError) => `${error.code} ${error.outcome}`,
    )
  return { rig, producer, send }
}

const away = (): MessagingError => new MessagingError('unavailable', 'away')

test('what is sent in one turn goes out in one batch, and what comes while it is out in the next', async () => {
  const { rig, send } = setUp({ traits: { maxBatch: 1_000 } })
  const first = Array.from({ length: 5 }, (_, n) => send(`a${n}`))
  await settled()
  const callers = Array.from({ length: 500 }, async (_, n) => {
    await send(`b${n}`)
    // Several ticks deep, as a caller's own wrapper would be.
    await Promise.resolve().then(() => Promise.resolve())
    await send(`c${n}`)
  })
  await settled()
  expect(rig.flights.map(({ messages }) => messages.length)).toEqual([5])
  for (let n = 0; n < 3; n++) {
    rig.flights[n]?.ok()
    await settled()
  }
  expect(rig.flights.map(({ messages }) => messages.length)).toEqual([5, 500, 500])
  await Promise.all([...first, ...callers])
})

test('callers who never wait for anything else leave the event loop its turns', async () => {
  const { rig, send } = setUp({ traits: { maxBatch: 1_000, inFlight: 16 } })
  rig.auto((flight) => flight.ok())
  let sent = 0
  let turns = 0
  const caller = async (n: number): Promise<void> => {
    for (let m = 0; m < 200 && turns < 3; m++, sent++) await send(`${n}.${m}`)
  }
  const turn = (): void => {
    if (++turns < 3) setImmediate(turn)
  }
  setImmediate(turn)
  await Promise.all(Array.from({ length: 100 }, (_, n) => caller(n)))
  expect(turns).toBe(3)
  expect(sent).toBeLessThan(1_000)
})

test('a batch ends at maxBatch and at a mebibyte of bodies', async () => {
  const { rig, send } = setUp({ traits: { maxBatch: 3, inFlight: 9 } })
  for (const body of ['1', '2', '3', '4']) void send(body)
  await settled()
  expect(batchesOf(rig)).toEqual([['1', '2', '3'], ['4']])
  const large = 'x'.repeat(600_000)
  const producer = createProducer(rig.runtime)
  for (let n = 0; n < 3; n++) void producer.send(t, large).catch(() => {})
  await settled()
  expect(rig.flights.slice(2).map(({ messages }) => messages.length)).toEqual([1, 1, 1])
  rig.close()
})

test('messages of a key may share a batch and never overlap in two', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 4, maxBatch: 10 } })
  const all = [send('1', 'k'), send('2', 'k'), send('x', 'j')]
  await settled()
  all.push(send('3', 'k'), send('4', 'k'), send('y', 'j'), send('z'))
  await settled()
  expect(batchesOf(rig)).toEqual([['1', '2', 'x'], ['z']])
  rig.flights[0]?.ok()
  await settled()
  expect(batchesOf(rig)[2]).toEqual(['3', '4', 'y'])
  for (const flight of rig.flights) flight.ok()
  expect(await Promise.all(all)).toEqual(all.map(() => 'broker'))
})

test('where a batch may be held in part, what a later message of its key has overtaken is not tried again', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 4, maxBatch: 10, partialFailure: true } })
  const all = [send('1', 'k'), send('2', 'k'), send('3', 'k'), send('x', 'j'), send('y', 'j')]
  await settled()
  expect(batchesOf(rig)).toEqual([['1', '2', '3', 'x', 'y']])
  rig.flights[0]?.answer([
    { ok: false, error: away() },
    { ok: true, position: '1' },
    { ok: false, error: away() },
    { ok: true, position: '2' },
    { ok: false, error: away() },
  ])
  await settled()
  rig.auto((flight) => flight.ok())
  await rig.clock.advance(50)
  expect(await Promise.all(all)).toEqual(['stale failed', 'broker', 'broker', 'broker', 'broker'])
  expect(batchesOf(rig)).toEqual([
    ['1', '2', '3', 'x', 'y'],
    ['3', 'y'],
  ])
})

test('where single messages are refused as a matter of course, a key has one message under way', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 4, maxBatch: 10, partialFailure: true, refusesSingly: true } })
  rig.auto((flight) => flight.ok())
  const all = [send('1', 'k'), send('2', 'k'), send('3', 'k'), send('x', 'j'), send('y', 'j'), send('z')]
  expect(await Promise.all(all)).toEqual(all.map(() => 'broker'))
  expect(batchesOf(rig)).toEqual([['1', 'x', 'z'], ['2', 'y'], ['3']])
})

test('a failed batch is sent again as it was, before anything later of its keys; the rest goes on', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 1, maxBatch: 10 } })
  const all = [send('1', 'k'), send('2', 'k'), send('3')]
  await settled()
  all.push(send('4', 'k'), send('5'))
  rig.flights[0]?.fail(away())
  await settled()
  expect(batchesOf(rig).at(-1)).toEqual(['5'])
  rig.auto((flight) => flight.ok())
  rig.flights[1]?.ok()
  await rig.clock.advance(50)
  expect(batchesOf(rig)).toEqual([['1', '2', '3'], ['5'], ['1', '2', '3'], ['4']])
  expect(await Promise.all(all)).toEqual(all.map(() => 'broker'))
})

test('of a batch that failed in part only what failed is sent again, and keeps its key', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 2, maxBatch: 10 } })
  const all = [send('1', 'k'), send('2', 'j'), send('3', 'i')]
  await settled()
  all.push(send('4', 'k'), send('5', 'j'))
  rig.flights[0]?.answer([
    { ok: false, error: away() },
    { ok: true, position: '7' },
    { ok: false, error: new MessagingError('unroutable', 'nobody') },
  ])
  await settled()
  rig.auto((flight) => flight.ok())
  rig.flights[1]?.ok()
  await rig.clock.advance(50)
  expect(batchesOf(rig)).toEqual([['1', '2', '3'], ['5'], ['1'], ['4']])
  expect(await Promise.all(all)).toEqual(['broker', 'broker', 'unroutable failed', 'broker', 'broker'])
})

test('the deadline covers buffering and all tries, and says whether anything was written', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 1, maxBatch: 1 } }, { sendTimeoutMs: 1_000, buffer: 2 })
  rig.auto((flight) => {
    if (flight.messages[0]?.id === 'lost') flight.fail(new MessagingError('unavailable', 'cut', { outcome: 'unknown' }))
    else if (flight.messages[0]?.id === 'away') flight.fail(away())
  })
  const fates: Record<string, string> = {}
  const note = (body: string): void => void send(body).then((fate) => (fates[body] = fate))
  for (const body of ['away', 'lost', 'silent', 'queued', 'outside']) note(body)
  await rig.clock.advance(999)
  expect(fates).toEqual({})
  await rig.clock.advance(1)
  expect(fates).toEqual({
    away: 'timeout failed',
    lost: 'timeout unknown',
    silent: 'timeout failed',
    queued: 'timeout failed',
    outside: 'timeout failed',
  })
  note('silent again')
  await settled()
  expect(batchesOf(rig).at(-1)).toEqual(['silent again'])
  await rig.clock.advance(1_000)
  expect(fates['silent again']).toBe('timeout unknown')
})

test('a driver that ignores the abort of a batch nobody waits for is given up after two seconds', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 1 } }, { sendTimeoutMs: 1_000 })
  const lost = send('1', 'k')
  await rig.clock.advance(1_000)
  expect(await lost).toBe('timeout unknown')
  expect(rig.flights[0]?.control.signal.aborted).toBe(true)
  const later = send('2', 'k')
  await settled()
  expect(batchesOf(rig)).toEqual([['1']])
  await rig.clock.advance(999)
  expect(await Promise.race([later, 'open'])).toBe('open')
  rig.auto((flight) => flight.ok())
  await rig.clock.advance(1_001)
  // Its own deadline has come first; what is sent now goes out at once.
  expect(await later).toBe('timeout failed')
  expect(await send('3', 'k')).toBe('broker')
})

test('an abort before, while it waits, and while it is out', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 1, maxBatch: 1 } })
  const stop = new AbortController()
  const out = send('out', 'k', { signal: stop.signal })
  const waits = send('waits', 'k', { signal: stop.signal })
  const stays = send('stays', 'k')
  await settled()
  stop.abort()
  expect(await send('before', 'k', { signal: stop.signal })).toBe('aborted failed')
  expect(await out).toBe('aborted unknown')
  expect(await waits).toBe('aborted failed')
  rig.auto((flight) => flight.ok())
  rig.flights[0]?.fail(new MessagingError('aborted', 'as asked', { outcome: 'unknown' }))
  expect(await stays).toBe('broker')
  expect(batchesOf(rig)).toEqual([['out'], ['stays']])
})

test('one signal for thousands of sends has one listener, and none when they are settled', async () => {
  const { rig, send, producer } = setUp({ traits: { inFlight: 1, maxBatch: 5_000 } })
  const stop = new AbortController()
  const listeners = (): number => getEventListeners(stop.signal, 'abort').length
  rig.auto((flight) => flight.ok())
  await producer.sendBatch(t, new Array(5_000).fill({ body: 'x' }), { signal: stop.signal })
  expect(listeners()).toBe(0)
  rig.auto(() => {})
  const all = [send('1', 'k', { signal: stop.signal }), send('2', 'j', { signal: stop.signal })]
  await settled()
  expect(listeners()).toBe(1)
  stop.abort()
  expect(await Promise.all(all)).toEqual(['aborted unknown', 'aborted unknown'])
  expect(listeners()).toBe(0)
})

test('the buffer holds back what comes beyond it, in order', async () => {
  const { rig, send, producer } = setUp({ traits: { inFlight: 9, maxBatch: 1 } }, { buffer: 2 })
  const all = ['1', '2', '3', '4'].map((body) => send(body))
  await settled()
  expect(batchesOf(rig)).toEqual([['1'], ['2']])
  expect(producer.stats().pending).toBe(4)
  rig.flights[0]?.ok()
  await settled()
  expect(batchesOf(rig)).toEqual([['1'], ['2'], ['3']])
  rig.auto((flight) => flight.ok())
  for (const flight of rig.flights) flight.ok()
  expect(await Promise.all(all)).toEqual(['broker', 'broker', 'broker', 'broker'])
})

test('lingerMs waits for more, up to a full batch', async () => {
  const { rig, send } = setUp({ traits: { maxBatch: 3, inFlight: 9 } }, { lingerMs: 20 })
  rig.auto((flight) => flight.ok())
  const first = [send('1')]
  await rig.clock.advance(10)
  first.push(send('2'))
  await rig.clock.advance(9)
  expect(rig.flights).toEqual([])
  await rig.clock.advance(1)
  expect(batchesOf(rig)).toEqual([['1', '2']])
  const full = [send('3'), send('4'), send('5')]
  await Promise.all([...first, ...full])
  expect(batchesOf(rig)).toEqual([
    ['1', '2'],
    ['3', '4', '5'],
  ])
})

test('an atomic batch goes alone, waits for all of its keys and lets nothing pass in them', async () => {
  const { rig, producer, send } = setUp({ traits: { inFlight: 4, maxBatch: 10 } })
  const all: Promise<unknown>[] = [send('1', 'k')]
  await settled()
  const atomic = producer.sendBatch(t, [{ body: 'a', key: 'k' }, { body: 'b', key: 'j' }, { body: 'c' }], {
    atomic: true,
  })
  await settled()
  all.push(send('2', 'j'), send('3', 'k'), send('4', 'i'))
  await settled()
  expect(batchesOf(rig)).toEqual([['1'], ['4']])
  rig.flights[0]?.ok()
  await settled()
  expect(batchesOf(rig).at(-1)).toEqual(['a', 'b', 'c'])
  expect(rig.flights.at(-1)?.control.atomic).toBe(true)
  rig.flights[2]?.ok()
  await settled()
  expect(batchesOf(rig).at(-1)?.toSorted()).toEqual(['2', '3'])
  for (const flight of rig.flights) flight.ok()
  expect((await atomic).map((each) => each.ok && each.receipt.position === each.receipt.id)).toEqual([true, true, true])
  await Promise.all(all)
  expect(producer.stats()).toMatchObject({ sent: 7, pending: 0 })
})

test('what came before an atomic batch goes before it, what came after goes after it, in the same turn too', async () => {
  const { rig, producer, send } = setUp({ traits: { inFlight: 4, maxBatch: 10 } })
  void send('1', 'k')
  await settled()
  void send('2', 'k')
  void producer.sendBatch(t, [{ body: 'a', key: 'k' }], { atomic: true })
  await settled()
  rig.auto((flight) => flight.ok())
  rig.flights[0]?.ok()
  expect(await send('3', 'k')).toBe('broker')
  expect(batchesOf(rig)).toEqual([['1'], ['2'], ['a'], ['3']])
})

test('an atomic batch that ends while it waits for a key leaves the key and those that it had', async () => {
  const { rig, producer, send } = setUp({ traits: { inFlight: 4, maxBatch: 10 } })
  const first = send('1', 'k')
  await settled()
  const stop = new AbortController()
  const atomic = producer.sendBatch(
    t,
    [
      { body: 'a', key: 'k' },
      { body: 'b', key: 'j' },
    ],
    { atomic: true, signal: stop.signal },
  )
  await settled()
  const behind = [send('2', 'k'), send('3', 'j')]
  await settled()
  rig.auto((flight) => flight.ok())
  stop.abort()
  expect((await atomic).map((each) => !each.ok && `${each.error.code} ${each.error.outcome}`)).toEqual([
    'aborted failed',
    'aborted failed',
  ])
  await settled()
  expect(batchesOf(rig)).toEqual([['1'], ['3']])
  rig.flights[0]?.ok()
  expect(await Promise.all([first, ...behind])).toEqual(['broker', 'broker', 'broker'])
})

test('what waited behind a key comes in full batches', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 4, maxBatch: 2 } })
  const all = [send('1', 'k')]
  await settled()
  all.push(...['2', '3', '4', '5', '6'].map((body) => send(body, 'k')))
  await settled()
  rig.auto((flight) => flight.ok())
  rig.flights[0]?.ok()
  await Promise.all(all)
  expect(batchesOf(rig)).toEqual([['1'], ['2', '3'], ['4', '5'], ['6']])
})

test('while several batches wait for another try nothing new goes out, and what fails alone does not stop the rest', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 1, maxBatch: 1 } })
  const fates = Array.from({ length: 8 }, (_, n) => send(`${n}`))
  rig.auto((flight) => flight.fail(away()))
  await settled()
  expect(batchesOf(rig)).toEqual([['0'], ['1'], ['2'], ['3']])
  rig.auto((flight) => flight.ok())
  await rig.clock.advance(100)
  expect(await Promise.all(fates)).toEqual(fates.map(() => 'broker'))
})

test('a key that is given up in a pause is free at once', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 1, maxBatch: 10 } })
  const stop = new AbortController()
  const fates = [send('1', 'k', { signal: stop.signal }), send('other', 'j')]
  await settled()
  rig.flights[0]?.fail(away())
  await settled()
  fates.push(send('2', 'k'))
  await settled()
  expect(rig.flights.length).toBe(1)
  rig.auto((flight) => flight.ok())
  stop.abort()
  expect(await fates[2]).toBe('broker')
  expect(batchesOf(rig)).toEqual([['1', 'other'], ['2']])
  await rig.clock.advance(50)
  expect(await Promise.all(fates)).toEqual(['aborted failed', 'broker', 'broker'])
})

test('closing settles everything', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 1, maxBatch: 1 } }, { buffer: 2 })
  const all = ['out', 'waits', 'outside'].map((body) => send(body))
  await settled()
  rig.close()
  expect(await Promise.all(all)).toEqual(['closed unknown', 'closed failed', 'closed failed'])
  rig.flights[0]?.ok()
  await rig.clock.advance(20_000)
  expect(rig.flights.length).toBe(1)
})

test('a broken driver: no promise, too few answers, something that is no error of ours', async () => {
  const { rig, send } = setUp({ traits: { maxBatch: 2 } })
  rig.auto((flight) => flight.answer([]))
  expect(await send('short')).toBe('internal unknown')
  rig.auto((flight) => flight.fail(new TypeError('bug') as unknown as MessagingError))
  expect(await send('bug')).toBe('internal unknown')
  const thrown = setUp({
    driver: {
      send() {
        throw new TypeError('bug')
      },
    },
  })
  expect(await thrown.send('thrown')).toBe('internal unknown')
})

test('nothing is left behind: no timer but the one for deadlines, which ends too', async () => {
  const { rig, send } = setUp({ traits: { inFlight: 2, maxBatch: 2 } })
  rig.auto((flight) => flight.ok())
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => send(`${n}`, `k${n % 7}`)))
  const listeners = (): number => getEventListeners(rig.runtime.closing, 'abort').length
  expect([rig.clock.armed, listeners()]).toEqual([1, 1])
  await rig.clock.advance(10_000)
  expect([rig.clock.armed, listeners()]).toEqual([0, 0])
  expect(await send('again')).toBe('broker')
  rig.close()
  expect(await send('late')).toBe('closed failed')
})
