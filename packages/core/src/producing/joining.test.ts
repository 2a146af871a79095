import { expect, test } from 'vitest'
import { batchesOf, batching } from '../../test/batching.ts'
import { settled } from '../../test/manual-clock.ts'
import { t } from '../../test/producing.ts'

test('an atomic batch goes alone, waits for all of its keys and lets nothing pass in them', async () => {
  const { rig, producer, send } = batching({ traits: { inFlight: 4, maxBatch: 10 } })
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
  const { rig, producer, send } = batching({ traits: { inFlight: 4, maxBatch: 10 } })
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
  const { rig, producer, send } = batching({ traits: { inFlight: 4, maxBatch: 10 } })
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
