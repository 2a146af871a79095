// The chapter of faults, each on the real broker: behind a proxy, killed, frozen. One scenario at a time, since all stand on one broker.
import { continueNode, ensure, freezeNode, killNode, portsOfNode, startNode } from '@posthorn/brokers'
import type { Adapter } from '@posthorn/core'
import { faultProxy } from '@posthorn/testkit'
import { conformance } from '@posthorn/testkit/conformance'
import { afterAll } from 'vitest'
import { kafka } from '../src/index.ts'
import { kafkajsOn } from './foreign-client.ts'
import { removeTopics } from './topics.ts'

const direct = new URL(await ensure('kafka')).host
const { proxied, proxy: listen } = portsOfNode('kafka')
const proxy = await faultProxy({ to: { host: '127.0.0.1', port: proxied as number }, listen: listen as number })
afterAll(() => proxy.close())

for (const client of ['kafkajs', 'platformatic'] as const)
  conformance({
    name: 'kafka',
    adapter: () => kafka({ brokers: `127.0.0.1:${proxy.port}`, client }) as Adapter,
    cleanUp: removeTopics,
    concurrency: 1,
    patienceMs: 40_000,
    chapters: ({ name }) => name === 'faults' || name === 'foreign messages',
    faults: {
      cut: async () => void proxy.cut(),
      async blackHole() {
        proxy.blackHole()
        return () => proxy.restore()
      },
      async kill() {
        await killNode('kafka')
        return () => startNode('kafka')
      },
      async freeze() {
        freezeNode('kafka')
        return async () => continueNode('kafka')
      },
    },
    foreign: kafkajsOn(direct),
  })
