import { eventBus } from '../src/broker/events.ts'
import type { Keeper } from '../src/broker/keeper.ts'
import { lagMeter } from '../src/broker/operating.ts'
import type { Runtime } from '../src/broker/runtime.ts'
import { aloneGate } from '../src/consuming/alone.ts'
import { defineAdapter } from '../src/driver/adapter.ts'
import type { Clock } from '../src/driver/clock.ts'
import type { Dispatch } from '../src/driver/envelope.ts'
import type { Driver, SendControl, SendResult, Traits } from '../src/driver/seam.ts'
import { MessagingError } from '../src/errors.ts'
import type { Adapter } from '../src/face/connecting.ts'
import type { SendExtension } from '../src/face/extending.ts'
import type { AnyTopic } from '../src/face/messages.ts'
import type { Store } from '../src/face/stores.ts'
import { noneUnsent } from '../src/producing/flushing.ts'
import { topicParts, topicSpec } from '../src/topic.ts'
import { type ManualClock, manualClock } from './manual-clock.ts'

/** One call of the driver's `send`, to be answered by the test. */
export interface Flight {
  readonly messages: readonly Dispatch[]
  readonly control: SendControl
  /** Every message is there; its position is its id. */
  ok(): void
  answer(results: readonly SendResult[]): void
  fail(error: MessagingError): void
}

/** A driver whose answers are the test's, and a broker around it as far as senders see one. */
export interface Rig {
  readonly runtime: Runtime
  readonly clock: ManualClock
  readonly flights: Flight[]
  /** Answers each flight at once from now on. */
  auto(answer: (flight: Flight) => void): void
  readonly declared: string[]
  close(): void
}

/** What a test may set. */
export interface RigOptions {
  readonly traits?: Partial<Traits>
  readonly keeper?: Keeper
  readonly store?: Store
  readonly storeIsDriver?: boolean
  readonly use?: readonly SendExtension[]
  readonly declare?: Runtime['declare']
  readonly driver?: Partial<Driver>
}

// Of a driver that a test makes.
const traits: Traits = {
  history: true,
  order: 'key',
  delay: 'none',
  maxDelayMs: 0,
  nackDelay: 'none',
  cancel: false,
  priority: true,
  pattern: true,
  topics: false,
  filter: false,
  atomic: true,
  effects: false,
  transactional: false,
  partialFailure: false,
  leaseMs: undefined,
  holdMs: undefined,
  counts: false,
  inFlight: 1,
  maxBatch: 100,
  maxBytes: 10_000_000,
  window: undefined,
}

/** Makes one. */
export function sendingRig(options: RigOptions = {}): Rig {
  const clock = manualClock()
  const flights: Flight[] = []
  const declared: string[] = []
  const topics = new Map<string, AnyTopic>()
  const closing = new AbortController()
  let shut = false
  let automatic: ((flight: Flight) => void) | undefined
  const not = (): never => {
    throw new Error('not in this rig')
  }
  const driver: Driver = {
    client: undefined,
    declare: not,
    open: not,
    shelf: not,
    lag: not,
    health: not,
    close: not,
    send: (messages, control) =>
      new Promise((resolve, reject) => {
        const flight: Flight = {
          messages,
          control,
          ok: () => resolve(messages.map(({ id }) => ({ ok: true, position: id }))),
          answer: (results) => resolve(results),
          fail: (error) => reject(error),
        }
        flights.push(flight)
        automatic?.(flight)
      }),
    ...options.driver,
  }
  const capabilities = { replay: false, query: false }
  const runtime: Runtime = {
    name: 'rig',
    address: 'rig:',
    adapter: defineAdapter('rig', capabilities, { traits, connect: not, address: 'rig:' }),
    capabilities,
    driver,
    traits: { ...traits, ...options.traits },
    clock,
    connectTimeoutMs: 10_000,
    clientId: 'rig',
    events: eventBus('rig', clock, false),
    store: options.store,
    storeIsDriver: options.storeIsDriver ?? false,
    keeper: options.keeper,
    inbox: undefined,
    slots: undefined,
    relay: not,
    producer: not,
    unsent: noneUnsent(),
    sendUse: options.use ?? [],
    consumeUse: [],
    consumers: {},
    singleHost: false,
    meter: lagMeter(clock),
    alone: aloneGate(clock),
    declare:
      options.declare ??
      (async (topic) => {
        declared.push(topic.name)
        topics.set(topic.name, topic)
        return { spec: topicSpec(topicParts(topic), 'rig'), there: true }
      }),
    remove: async () => {},
    missed() {},
    specOf: (topic) => topicSpec(topicParts(topic), 'rig'),
    resolve: not,
    topicNamed: (name) => topics.get(name),
    closing: closing.signal,
    open(what) {
      if (shut) throw new MessagingError('closed', `${what}: this broker is closed`)
    },
  }
  return {
    runtime,
    clock,
    flights,
    declared,
    auto(answer) {
      automatic = answer
    },
    close() {
      shut = true
      closing.abort()
    },
  }
}

/** An adapter whose broker has nothing but sources; on the machine's clock unless another is given. */
export function sourcesOnly(
  name: string,
  open: Driver['open'],
  clock?: Clock,
  declare: Driver['declare'] = async () => {},
): Adapter {
  const not = (): never => {
    throw new Error('not of this test')
  }
  const driver: Driver = {
    client: undefined,
    declare,
    send: not,
    open,
    shelf: not,
    lag: not,
    health: async () => [],
    close: async () => {},
  }
  const plan = { traits, connect: async () => driver, address: `${name}:`, clock }
  return defineAdapter(name, { replay: false, query: false }, plan) as Adapter
}
