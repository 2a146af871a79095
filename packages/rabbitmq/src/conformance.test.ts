import { ensure } from '@posthorn/brokers'
import type { Adapter } from '@posthorn/core'
import { conformance, type Foreign, type Harness, seededDefects } from '@posthorn/testkit/conformance'
import { type ConfirmChannel, connect } from 'amqplib'
import { rabbitmq } from './index.ts'
import { managementOf } from './testing/management.ts'

// Another version by its name in scripts/brokers: POSTHORN_RABBITMQ=rabbitmq@4.3
const broker = process.env['POSTHORN_RABBITMQ'] ?? 'rabbitmq'
const url = await ensure(broker)

/** A queue of somebody else's, written to by amqplib alone. */
const foreign: Foreign = {
  async prepare(namespace) {
    const queue = `${namespace}:legacy`
    await withChannel((channel) => channel.assertQueue(queue, { durable: true }))
    return { queue }
  },
  publish: (on, body, headers) =>
    withChannel(async (channel) => {
      channel.sendToQueue((on as { readonly queue: string }).queue, Buffer.from(body), { headers: { ...headers } })
      await channel.waitForConfirms()
    }),
}

async function withChannel(work: (channel: ConfirmChannel) => Promise<unknown>): Promise<void> {
  const connection = await connect(url)
  try {
    await work(await connection.createConfirmChannel())
  } finally {
    await connection.close()
  }
}

const harness: Harness = {
  name: 'rabbitmq',
  adapter: () => rabbitmq({ url }) as Adapter,
  // Priorities of quorum queues came with 4.0.
  ...(broker === 'rabbitmq@3.10' ? { lacks: { priority: false } } : {}),
  cleanUp: (namespace) => managementOf(broker).remove(`${namespace}:`),
  foreign,
}

conformance(harness)
seededDefects({ ...harness, patienceMs: 5_000 }, 'other clients')
