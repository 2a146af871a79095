import type { Adapter } from '@posthorn/core'
import { type AdapterPlan, type DriverContext, defineAdapter, type Traits } from '@posthorn/core/driver'
import { nameOf } from './clients/address-book.ts'
import { kafkajsClient } from './clients/kafkajs.ts'
import type { Admin, Kafka } from './clients/native.ts'
import { platformaticClient } from './clients/platformatic.ts'
import type { ClientSettings } from './clients/port.ts'
import { kafkaDriver, requestTimeoutMs } from './driver.ts'
import { rebalanceMsOf } from './membership.ts'
import { type KafkaMapping, type KafkaOptions, optionsOfUrl, type Settings, settingsOf } from './options.ts'

export type { KafkaMapping, KafkaOptions, SaslOptions } from './options.ts'

declare module '@posthorn/core' {
  interface AdapterMapping {
    readonly kafka?: KafkaMapping | undefined
  }
}

const capabilities = { replay: true, query: true } as const

function traitsOf({ maxBytes }: Settings): Traits {
  return {
    history: true,
    order: 'key',
    delay: 'group',
    maxDelayMs: 900_000,
    nackDelay: 'none',
    cancel: false,
    priority: false,
    pattern: true,
    topics: true,
    filter: false,
    atomic: true,
    effects: true,
    transactional: false,
    partialFailure: false,
    leaseMs: undefined,
    // Heartbeats are ours and go by their own timer: a handler may take as long as it likes.
    holdMs: undefined,
    // What crashed is known per window, not per message: good for finding the one that kills its process, too coarse for `attempt`.
    counts: false,
    // More than one idempotent batch under way would have to be put in order again after an error.
    inFlight: 1,
    maxBatch: 1_000,
    maxBytes,
    window: undefined,
  }
}

/** Apache Kafka by kafkajs. */
export function kafka(
  options: KafkaOptions & { readonly client?: 'kafkajs' | Kafka | undefined },
): Adapter<typeof capabilities, Kafka>
/** Apache Kafka by @platformatic/kafka. */
export function kafka(
  options: KafkaOptions & { readonly client: 'platformatic' | Admin },
): Adapter<typeof capabilities, Admin>
/** Apache Kafka by whichever client the options name. */
export function kafka(options: KafkaOptions): Adapter<typeof capabilities, Kafka | Admin>
export function kafka(options: KafkaOptions): Adapter<typeof capabilities, Kafka | Admin> {
  const settings = settingsOf(options)
  const plan: AdapterPlan<Kafka | Admin> = {
    traits: traitsOf(settings),
    address: settings.given === undefined ? settings.endpoints.map(nameOf).join(',') : 'a client of your own',
    async connect(context) {
      const given = clientSettings(settings, context)
      const client = await (settings.client === 'kafkajs' ? kafkajsClient(given) : platformaticClient(given))
      return kafkaDriver<Kafka | Admin>(client, settings, context)
    },
  }
  return defineAdapter('kafka', capabilities, plan)
}

/** The adapter that a URL names, as in `kafka://localhost:9092`. */
export function fromUrl(url: string): Adapter<typeof capabilities, Kafka | Admin> {
  return kafka(optionsOfUrl(url))
}

function clientSettings(settings: Settings, context: DriverContext): ClientSettings {
  return {
    endpoints: settings.endpoints,
    clientId: context.clientId,
    tls: settings.tls,
    login: settings.login,
    given: settings.given,
    connectTimeoutMs: Math.min(context.connectTimeoutMs, 5_000),
    requestTimeoutMs,
    joinTimeoutMs: rebalanceMsOf(settings.sessionMs) + requestTimeoutMs,
  }
}
