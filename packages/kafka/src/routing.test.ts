import { plainMessage } from '@posthorn/testkit'
import { expect, test } from 'vitest'
import type { ClusterMap } from './cluster.ts'
import { Fault } from './errors.ts'
import { names } from './names.ts'
import { router } from './routing.ts'
import type { Topology } from './topology.ts'

test('a topic that is not found for one message of a batch is not found for the rest of it: none overtakes another', async () => {
  let asked = 0
  const topic: ClusterMap['topic'] = async (name) => {
    if (++asked === 1) throw new Fault('connection', 'ECONNRESET', 'the connection was reset')
    return { name, partitions: [{ partition: 0 }] } as never
  }
  const route = router({
    cluster: { topic } as ClusterMap,
    names: names('ns'),
    layout: { mode: 'none' } as Topology,
    settings: { maxBytes: 1_000 } as never,
    now: () => 1_800_000_000_000,
  })
  const batch = ['orders', 'orders', 'bills'].map((name, n) => plainMessage({ id: `m${n}`, topic: name, key: 'k' }))
  const { parts, results } = await route(batch)
  expect(results.map((result) => result?.ok)).toEqual([false, false, undefined])
  expect(results[1]).toMatchObject({ error: { retryable: true, outcome: 'failed' } })
  expect(parts.map((part) => part.topic)).toEqual(['ns.bills'])
  // The next try asks again.
  expect((await route(batch)).results).toEqual([undefined, undefined, undefined])
})
