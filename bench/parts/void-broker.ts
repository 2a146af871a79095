// A broker that costs nothing: it takes every batch, and has as many deliveries as are wanted. What is left is our own cost.
import type { Adapter } from '@posthorn/core'
import {
  type Arrival,
  type Clock,
  type Driver,
  defineAdapter,
  newId,
  type SendResult,
  type Source,
  systemClock,
  type Traits,
} from '@posthorn/core/driver'

/** The traits of a broker that does nothing itself; of a driver that takes some batches at once. */
export const voidTraits: Traits = {
  history: true,
  order: 'key',
  delay: 'none',
  maxDelayMs: 0,
  nackDelay: 'none',
  cancel: false,
  priority: false,
  pattern: false,
  topics: false,
  filter: false,
  atomic: false,
  effects: false,
  transactional: false,
  partialFailure: false,
  leaseMs: undefined,
  holdMs: undefined,
  counts: false,
  inFlight: 4,
  maxBatch: 1_000,
  maxBytes: 1_048_576,
  window: undefined,
}

const refuse = (): never => {
  throw new Error('the void has only sends and deliveries')
}

const held: SendResult = { ok: true, position: undefined }

/** Answers in a later turn of the event loop, as a socket would. */
const send: Driver['send'] = (batch) => new Promise((resolve) => setImmediate(() => resolve(batch.map(() => held))))

/** Ids that a sender has made: they come over the wire, so that making them is no cost of who receives. */
const ids: readonly string[] = Array.from({ length: 10_000 }, () => newId(Date.now()))

const sourceOf = (bodies: readonly Uint8Array[], keys: number): Source => {
  let given = 0
  const arrival = (index: number): Arrival => ({
    id: ids[index % ids.length] as string,
    topic: 'void',
    key: keys === 0 ? undefined : `key-${index % keys}`,
    tag: undefined,
    headers: {},
    body: bodies[index % bodies.length] as Uint8Array,
    contentType: 'application/json',
    sentAt: undefined,
    expiresAt: undefined,
    priority: undefined,
    version: undefined,
    generation: 0,
    failures: 0,
    history: [],
    lone: 0,
    replyTo: undefined,
    correlationId: undefined,
    token: index,
    deliveryCount: 1,
    position: undefined,
    fence: undefined,
    lost: undefined,
    foreign: false,
  })
  return {
    receive: (max) =>
      new Promise((resolve) =>
        setImmediate(() => {
          const arrivals: Arrival[] = []
          for (let n = Math.min(max, 500); n > 0; n--) arrivals.push(arrival(given++))
          resolve(arrivals)
        }),
      ),
    settle: (batch) => new Promise((resolve) => setImmediate(() => resolve(batch.map(() => 'ok' as const)))),
    close: async () => {},
  }
}

/** An adapter of that broker. Deliveries have these bodies in turn, under so many keys (0: none). */
export const voidBroker = (bodies: readonly Uint8Array[] = [], keys = 0, clock: Clock = systemClock): Adapter => {
  const driver: Driver = {
    client: undefined,
    declare: async () => {},
    send,
    open: async () => sourceOf(bodies, keys),
    shelf: refuse,
    lag: refuse,
    health: async () => [],
    close: async () => {},
  }
  const plan = { traits: voidTraits, connect: async () => driver, clock, address: 'void:' }
  return defineAdapter('void', { replay: false, query: false }, plan) as Adapter
}
