import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { batchesOf, batching } from '../../test/batching.ts'
import { settled } from '../../test/manual-clock.ts'
import { away, t } from '../../test/producing.ts'
import { MessagingError } from '../errors.ts'

test('the deadline covers buffering and all tries, and says whether anything was written', async () => {
  const { rig, send } = batching({ traits: { inFlight: 1, maxBatch: 1 } }, { sendTimeoutMs: 1_000, buffer: 2 })
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

test('what the driver has and had not written is taken back at its end: it failed, the rest of its batch goes on', async () => {
  const waiting = new Set(['2', '3', '5'])
  const { rig, send, producer } = batching({
    traits: { inFlight: 1, maxBatch: 10 },
    driver: { withdraw: (_, { id }) => waiting.delete(id) },
  })
  const stop = new AbortController()
  const fates = ['1', '2'].map((body) => send(body, body, { signal: stop.signal }))
  const rest = ['3', '4', '5'].map((body) => send(body, body))
  await settled()
  expect(batchesOf(rig)).toEqual([['1', '2', '3', '4', '5']])
  stop.abort()
  expect(await Promise.all(fates)).toEqual(['aborted unknown', 'aborted failed'])
  expect(rig.flights[0]?.control.signal.aborted).toBe(false)
  await rig.clock.advance(10_000)
  expect(await Promise.all(rest)).toEqual(['timeout failed', 'timeout unknown', 'timeout failed'])
  expect(waiting.size).toBe(0)
  const why = producer.send(t, 'x', { id: 'x' }).catch(({ message }: MessagingError) => message)
  rig.flights[0]?.ok()
  await settled()
  waiting.add('x')
  await rig.clock.advance(10_000)
  expect(await why).toMatch(/it waited for its turn, .* and was not written/)
})

test('an atomic batch is taken back as a whole, and what an earlier try may have brought stays unknown', async () => {
  const asked: string[] = []
  const { rig, producer, send } = batching({
    traits: { inFlight: 1, maxBatch: 10 },
    driver: { withdraw: (batch, { id }) => asked.push(`${id} of ${batch.length}`) > 0 },
  })
  const together = producer.sendBatch(
    t,
    [
      { body: 1, id: 'a' },
      { body: 2, id: 'b' },
    ],
    { atomic: true },
  )
  await rig.clock.advance(10_000)
  expect(await together).toMatchObject(new Array(2).fill({ ok: false, error: { code: 'timeout', outcome: 'failed' } }))
  expect(asked).toEqual(['a of 2'])
  rig.flights[0]?.fail(new MessagingError('aborted', 'as asked'))
  await settled()
  const lost = send('lost')
  await settled()
  rig.flights[1]?.fail(new MessagingError('unavailable', 'cut', { outcome: 'unknown' }))
  await rig.clock.advance(9_999)
  expect(rig.flights.length).toBe(3)
  await rig.clock.advance(1)
  expect(await lost).toBe('timeout unknown')
})

test('an abort before, while it waits, and while it is out', async () => {
  const { rig, send } = batching({ traits: { inFlight: 1, maxBatch: 1 } })
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
  const { rig, send, producer } = batching({ traits: { inFlight: 1, maxBatch: 5_000 } })
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

test('closing settles everything', async () => {
  const { rig, send } = batching({ traits: { inFlight: 1, maxBatch: 1 } }, { buffer: 2 })
  const all = ['out', 'waits', 'outside'].map((body) => send(body))
  await settled()
  rig.close()
  expect(await Promise.all(all)).toEqual(['closed unknown', 'closed failed', 'closed failed'])
  rig.flights[0]?.ok()
  await rig.clock.advance(20_000)
  expect(rig.flights.length).toBe(1)
})

test('nothing is left behind: no timer but the one for deadlines, which ends too', async () => {
  const { rig, send } = batching({ traits: { inFlight: 2, maxBatch: 2 } })
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
