import type { Adapter } from '@posthorn/core'
import { defineAdapter, type Traits } from '@posthorn/core/driver'
import { connectTo, maxBytes, type RabbitClient } from './driver.ts'
import { longestDelayMs } from './ladder.ts'
import { optionsFromUrl, type RabbitMapping, type RabbitOptions, settingsOf } from './options.ts'
import { recheckMs } from './verifying.ts'

export type { RabbitClient } from './driver.ts'
export type { RabbitMapping, RabbitOptions, RabbitTls } from './options.ts'

declare module '@posthorn/core' {
  interface AdapterMapping {
    /** What already exists on RabbitMQ and belongs to somebody else. */
    readonly rabbitmq?: RabbitMapping | undefined
  }
}

/** Shortest consumer_timeout that hosted brokers set; a delivery that is held longer costs its channel. */
const holdMs = 15 * 60_000

const traits: Traits = {
  history: false,
  order: 'key',
  delay: 'any',
  maxDelayMs: longestDelayMs,
  nackDelay: 'none',
  cancel: false,
  priority: true,
  pattern: true,
  topics: true,
  filter: false,
  atomic: false,
  effects: false,
  transactional: false,
  partialFailure: true,
  leaseMs: undefined,
  holdMs,
  recheckMs,
  // The broker counts what it gave out, also what was only prefetched and given back.
  counts: false,
  inFlight: 32,
  maxBatch: 500,
  maxBytes,
  window: undefined,
}

/** RabbitMQ 3.10 and later, by amqplib: confirmed and routed sends, quorum queues, delay without a plugin, order by key. */
export function rabbitmq(options: RabbitOptions): Adapter<{ replay: false; query: false }, RabbitClient> {
  const settings = settingsOf(options)
  const refusesSingly = settings.maxLength !== undefined && settings.overflow === 'reject'
  return defineAdapter(
    'rabbitmq',
    { replay: false, query: false },
    {
      traits: { ...traits, refusesSingly },
      connect: (context) => connectTo(settings, context),
      address: settings.address,
    },
  )
}

/** The adapter for `amqp://...` and `amqps://...`. */
export function fromUrl(url: string): ReturnType<typeof rabbitmq> {
  return rabbitmq(optionsFromUrl(url))
}
