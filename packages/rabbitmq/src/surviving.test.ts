// The chapter of faults on the real broker: behind a proxy, killed, frozen. One scenario at a time, since all stand on one broker.
import { continueNode, ensure, freezeNode, killNode, portsOfNode, startNode } from '@posthorn/brokers'
import type { Adapter } from '@posthorn/core'
import { faultProxy } from '@posthorn/testkit'
import { conformance, type Harness, seededDefects } from '@posthorn/testkit/conformance'
import { afterAll } from 'vitest'
import { rabbitmq } from './index.ts'
import { managementOf } from './testing/management.ts'

// A broker of its own: it is killed.
const name = 'rabbitmq-tls'
await ensure(name)
const proxy = await faultProxy({ to: { host: '127.0.0.1', port: portsOfNode(name)['amqp'] as number } })
afterAll(() => proxy.close())

const harness: Harness = {
  name: 'rabbitmq',
  adapter: () => rabbitmq({ url: `amqp://guest:guest@127.0.0.1:${proxy.port}`, heartbeatS: 2 }) as Adapter,
  cleanUp: (namespace) => managementOf(name).remove(`${namespace}:`),
  concurrency: 1,
  patienceMs: 40_000,
  chapters: (chapter) => chapter.name === 'faults',
  faults: {
    cut: async () => void proxy.cut(),
    async blackHole() {
      proxy.blackHole()
      return () => proxy.restore()
    },
    async kill() {
      await killNode(name)
      return () => startNode(name)
    },
    async freeze() {
      freezeNode(name)
      return async () => continueNode(name)
    },
  },
}

conformance(harness)
// Each waits out its patience, and the broker must be back within it.
seededDefects({ ...harness, patienceMs: 12_000 }, 'faults')
