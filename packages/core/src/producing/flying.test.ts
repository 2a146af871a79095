import { expect, test } from 'vitest'
import { batchesOf, batching } from '../../test/batching.ts'
import { settled } from '../../test/manual-clock.ts'
import { away } from '../../test/producing.ts'
import { MessagingError } from '../errors.ts'

test('where a batch may be held in part, what a later message of its key has overtaken is not tried again', async () => {
  const { rig, send } = batching({ traits: { inFlight: 4, maxBatch: 10, partialFailure: true } })
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

test('a failed batch is sent again as it was, before anything later of its keys; the rest goes on', async () => {
  const { rig, send } = batching({ traits: { inFlight: 1, maxBatch: 10 } })
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
  const { rig, send } = batching({ traits: { inFlight: 2, maxBatch: 10 } })
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

test('a driver that ignores the abort of a batch nobody waits for is given up after two seconds', async () => {
  const { rig, send } = batching({ traits: { inFlight: 1 } }, { sendTimeoutMs: 1_000 })
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

test('while several batches wait for another try nothing new goes out, and what fails alone does not stop the rest', async () => {
  const { rig, send } = batching({ traits: { inFlight: 1, maxBatch: 1 } })
  const fates = Array.from({ length: 8 }, (_, n) => send(`${n}`))
  rig.auto((flight) => flight.fail(away()))
  await settled()
  expect(batchesOf(rig)).toEqual([['0'], ['1'], ['2'], ['3']])
  rig.auto((flight) => flight.ok())
  await rig.clock.advance(100)
  expect(await Promise.all(fates)).toEqual(fates.map(() => 'broker'))
})

test('a key that is given up in a pause is free at once', async () => {
  const { rig, send } = batching({ traits: { inFlight: 1, maxBatch: 10 } })
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

test('a broken driver: no promise, too few answers, something that is no error of ours', async () => {
  const { rig, send } = batching({ traits: { maxBatch: 2 } })
  rig.auto((flight) => flight.answer([]))
  expect(await send('short')).toBe('internal unknown')
  rig.auto((flight) => flight.fail(new TypeError('bug') as unknown as MessagingError))
  expect(await send('bug')).toBe('internal unknown')
  const thrown = batching({
    driver: {
      send() {
        throw new TypeError('bug')
      },
    },
  })
  expect(await thrown.send('thrown')).toBe('internal unknown')
})
