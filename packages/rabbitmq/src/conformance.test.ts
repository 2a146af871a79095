import { ensure } from '@posthorn/brokers'
import type { Adapter } from '@posthorn/core'
import { conformance, type Harness } from '@posthorn/testkit/conformance'
import { rabbitmq } from './index.ts'
import { amqplibOn } from './testing/foreign.ts'
import { managementOf } from './testing/management.ts'

// Another version by its name in scripts/brokers: POSTHORN_RABBITMQ=rabbitmq@4.3
const broker = process.env['POSTHORN_RABBITMQ'] ?? 'rabbitmq'
const url = await ensure(broker)

const harness: Harness = {
  name: 'rabbitmq',
  adapter: () => rabbitmq({ url }) as Adapter,
  // Priorities of quorum queues came with 4.0.
  ...(broker === 'rabbitmq@3.10' ? { lacks: { priority: false } } : {}),
  cleanUp: (namespace) => managementOf(broker).remove(`${namespace}:`),
  foreign: amqplibOn(url),
}

conformance(harness)
