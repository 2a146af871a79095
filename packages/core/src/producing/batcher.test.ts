import { expect, test } from 'vitest'
import { batchesOf, batching } from '../../test/batching.ts'
import { settled } from '../../test/manual-clock.ts'
import { t } from '../../test/producing.ts'
import { createProducer } from './producer.ts'

test('what is sent in one turn goes out in one batch, and what comes while it is out in the next', async () => {
  const { rig, send } = batching({ traits: { maxBatch: 1_000 } })
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

test('who sends alone and sends on at once waits for no end of a turn', async () => {
  const { rig, producer } = batching({})
  rig.auto((flight) => flight.ok())
  await producer.send(t, 'first')
  let ended = false
  process.nextTick(() => {
    ended = true
  })
  await producer.send(t, 'second')
  expect(ended).toBe(false)
})

test('callers who send on sooner and later in a turn go on sharing their batches', async () => {
  const { rig, producer } = batching({ traits: { inFlight: 1 } })
  rig.auto((flight) => setImmediate(() => flight.ok()))
  const caller = async (ticks: number): Promise<void> => {
    for (let n = 0; n < 10; n++) {
      await producer.send(t, `${ticks}.${n}`)
      for (let tick = 0; tick < ticks; tick++) await undefined
    }
  }
  await Promise.all([caller(0), caller(1), caller(5)])
  expect(rig.flights.map(({ messages }) => messages.length)).toEqual(Array(10).fill(3))
})

test('callers who never wait for anything else leave the event loop its turns', async () => {
  const { rig, send } = batching({ traits: { maxBatch: 1_000, inFlight: 16 } })
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
  const { rig, send } = batching({ traits: { maxBatch: 3, inFlight: 9 } })
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
  const { rig, send } = batching({ traits: { inFlight: 4, maxBatch: 10 } })
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

test('where single messages are refused as a matter of course, a key has one message under way', async () => {
  const { rig, send } = batching({ traits: { inFlight: 4, maxBatch: 10, partialFailure: true, refusesSingly: true } })
  rig.auto((flight) => flight.ok())
  const all = [send('1', 'k'), send('2', 'k'), send('3', 'k'), send('x', 'j'), send('y', 'j'), send('z')]
  expect(await Promise.all(all)).toEqual(all.map(() => 'broker'))
  expect(batchesOf(rig)).toEqual([['1', 'x', 'z'], ['2', 'y'], ['3']])
})

test('the buffer holds back what comes beyond it, in order', async () => {
  const { rig, send, producer } = batching({ traits: { inFlight: 9, maxBatch: 1 } }, { buffer: 2 })
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
  const { rig, send } = batching({ traits: { maxBatch: 3, inFlight: 9 } }, { lingerMs: 20 })
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

test('what waited behind a key comes in full batches', async () => {
  const { rig, send } = batching({ traits: { inFlight: 4, maxBatch: 2 } })
  const all = [send('1', 'k')]
  await settled()
  all.push(...['2', '3', '4', '5', '6'].map((body) => send(body, 'k')))
  await settled()
  rig.auto((flight) => flight.ok())
  rig.flights[0]?.ok()
  await Promise.all(all)
  expect(batchesOf(rig)).toEqual([['1'], ['2', '3'], ['4', '5'], ['6']])
})
