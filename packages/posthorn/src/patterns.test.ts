// The patterns that the umbrella brings, and messages of others with an inbox, on every broker that stays: SQLite is its own store, the others have it beside them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Adapter } from '@posthorn/core'
import { planOf } from '@posthorn/core/driver'
import { kafka } from '@posthorn/kafka'
import { rabbitmq } from '@posthorn/rabbitmq'
import { idempotent, slots } from '@posthorn/reliability'
import { sqlite } from '@posthorn/sqlite'
import { conformance, type Harness, seededDefects } from '@posthorn/testkit/conformance'
import { afterAll } from 'vitest'
import { ensure } from '../../../scripts/brokers/lifecycle.ts'
import { kafkajsOn } from '../../kafka/test/foreign-client.ts'
import { removeTopics } from '../../kafka/test/topics.ts'
import { amqplibOn } from '../../rabbitmq/src/testing/foreign.ts'
import { managementOf } from '../../rabbitmq/src/testing/management.ts'
import { type HastenedClock, hastened, hastenedKeeper } from '../test/hastened.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthorn-patterns-'))
afterAll(() => rmSync(folder, { recursive: true }))
const store = (namespace: string): Adapter => sqlite({ path: join(folder, `${namespace}.db`) }) as Adapter

const withClock = (adapter: Adapter): Adapter => ({
  ...adapter,
  '~adapter': { ...planOf(adapter), clock: hastened() } as unknown as Adapter['~adapter'],
})

const patterns = ['patterns', 'spool']

const common = {
  pass: (adapter, ms) => (planOf(adapter).clock as HastenedClock).advance(ms),
  parts: { openKeeper: hastenedKeeper, inbox: idempotent, slots },
  chapters: ({ name }) => [...patterns, 'foreign messages'].includes(name),
} satisfies Partial<Harness>

conformance({ ...common, name: 'sqlite', adapter: (namespace) => withClock(store(namespace)) })

const rabbitmqUrl = await ensure('rabbitmq')
const onRabbitmq: Harness = {
  ...common,
  name: 'rabbitmq',
  adapter: () => withClock(rabbitmq({ url: rabbitmqUrl }) as Adapter),
  cleanUp: (namespace) => managementOf('rabbitmq').remove(`${namespace}:`),
  store,
  foreign: amqplibOn(rabbitmqUrl),
}
conformance(onRabbitmq)
seededDefects({ ...onRabbitmq, patienceMs: 5_000 }, 'other clients')

const kafkaBrokers = new URL(await ensure('kafka')).host
for (const client of ['kafkajs', 'platformatic'] as const)
  conformance({
    ...common,
    name: 'kafka',
    adapter: () => withClock(kafka({ brokers: kafkaBrokers, client }) as Adapter),
    cleanUp: removeTopics,
    store,
    foreign: kafkajsOn(kafkaBrokers),
    // By the second client what the patterns mean is the same; that its messages of others have positions is its own doing.
    chapters: ({ name }) => name === 'foreign messages' || (client === 'kafkajs' && patterns.includes(name)),
  })
