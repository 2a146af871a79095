// Brokers that are wrong on purpose at their public face, each in one way: what scenarios about core's own refusals and endings must find.
import { type Broker, type ErrorCode, isMessagingError, type Producer } from '@posthorn/core'
import { but } from '../defects/place.ts'

interface FaceDefect {
  readonly sentence: string
  readonly wrap: (broker: Broker) => Broker
  /** Scenarios that find it. */
  readonly found: readonly string[]
}

/** The same object, but what it refuses by this code it takes without a word; so does what it gives. */
function accepting<T extends object>(target: T, code: ErrorCode): T {
  const pass = (error: unknown): undefined => {
    if (isMessagingError(error, code)) return undefined
    throw error
  }
  const given = (value: unknown): unknown =>
    typeof value === 'object' && value !== null && ['send', 'list', 'receive', 'stop'].some((name) => name in value)
      ? accepting(value, code)
      : value
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        try {
          const out: unknown = value.apply(target, args)
          if (name === 'having') return out === undefined ? undefined : accepting(target, code)
          return out instanceof Promise ? out.then(given, pass) : given(out)
        } catch (error) {
          return pass(error)
        }
      }
    },
  })
}
const taking = (code: ErrorCode, found: readonly string[]): FaceDefect => ({
  sentence: `what must be refused as ${code} is taken without a word`,
  wrap: (broker) => accepting(broker, code),
  found,
})
const withProducers = (broker: Broker, change: (producer: Producer) => Partial<Producer>): Broker =>
  but(broker, {
    producer(options) {
      const producer = broker.producer(options)
      return but(producer, change(producer))
    },
  })

/** By name; `found` says which scenarios fail with it. */
export const faceDefects: Readonly<Record<string, FaceDefect>> = {
  'takes-invalid': taking('invalid', [
    'ending.explain',
    'grouping.required',
    'ordering.rule-20-one-lane',
    'refusing.consumers',
    'refusing.every-number',
    'refusing.group-names',
    'refusing.ids-and-headers',
    'refusing.letters',
    'refusing.options',
    'refusing.positions',
    'refusing.receives',
    'refusing.requests',
    'refusing.send-options',
    'selecting.bad-filter',
  ]),
  'takes-unsupported': taking('unsupported', [
    'handling.effects-need-an-inbox',
    'ordering.park-needs-a-store',
    'refusing.at-most-once',
  ]),
  'takes-codec': taking('codec', ['refusing.values', 'sending.unencodable']),
  'takes-too-large': taking('too-large', ['sending.too-large']),
  'takes-aborted': taking('aborted', ['sending.aborted']),
  'takes-closed': taking('closed', ['ending.scope', 'ending.used-again']),
  'health-without-consumers': {
    sentence: 'health names no consumer',
    wrap: (broker) =>
      but(broker, {
        async health() {
          const { ok, checks } = await broker.health()
          return { ok, checks: checks.slice(0, 1).map((check) => ({ ...check, name: 'broker' })) }
        },
      }),
    found: ['ending.health'],
  },
  'has-nothing': {
    sentence: 'having() answers that the broker cannot, whatever it is asked',
    wrap: (broker) => but(broker, { having: () => undefined }),
    found: ['ending.having'],
  },
  'scope-overstated': {
    sentence: 'a store that one process sees calls itself shared',
    wrap: (broker) => but(broker, { store: but(broker.store, { scope: 'shared' }) }),
    found: ['ending.rule-24-scope'],
  },
  'signal-unheard': {
    sentence: 'a consumer does not hear of its signal',
    wrap: (broker) =>
      but(broker, {
        consume: (from, options, handler) => broker.consume(from, { ...options, signal: undefined }, handler),
      }),
    found: ['handling.signal-stops'],
  },
  'extensions-unheard': {
    sentence: 'what a consumer is to use is left out',
    wrap: (broker) =>
      but(broker, {
        consume: (from, options, handler) => broker.consume(from, { ...options, use: [] }, handler),
      }),
    found: ['backlog.gives-way', 'backlog.newest-first', 'backlog.newest-or-order'],
  },
  'stop-counts-nothing': {
    sentence: 'stop tells that nothing was handled',
    wrap: (broker) =>
      but(broker, {
        async consume(from, options, handler) {
          const consumer = await broker.consume(from, options, handler)
          return but(consumer, { stop: async (said) => ({ ...(await consumer.stop(said)), handled: 0 }) })
        },
      }),
    found: ['handling.stop-drains', 'handling.stop-hands-over-a-batch'],
  },
  'receipt-of-another': {
    sentence: 'a receipt names another message',
    wrap: (broker) =>
      withProducers(broker, (producer) => ({
        send: async (...args) => ({ ...(await producer.send(...args)), id: 'another' }),
      })),
    found: ['sending.receipt'],
  },
  'posts-nothing': {
    sentence: 'what is posted is not sent',
    wrap: (broker) => withProducers(broker, () => ({ post: () => {} })),
    found: ['ending.forgotten-producers', 'sending.post'],
  },
  'half-counts-anyway': {
    sentence: 'a half message is sent although its work threw',
    wrap: (broker) =>
      withProducers(broker, (producer) => ({
        async sendHalf(to, body, work, options) {
          try {
            return await producer.sendHalf(to, body, work, options)
          } catch (error) {
            await producer.send(to, body)
            throw error
          }
        },
      })),
    found: [],
  },
  'deadline-unheard': {
    sentence: 'a producer does not hear of its deadline',
    wrap: (broker) => but(broker, { producer: (options) => broker.producer({ ...options, sendTimeoutMs: 3_600_000 }) }),
    found: [],
  },
  'fails-plainly': {
    sentence: 'a send rejects with an error that is none of ours',
    wrap: (broker) =>
      withProducers(broker, () => ({
        send: async () => {
          throw new Error('plain')
        },
      })),
    found: ['ending.sends-settle'],
  },
  'asks-for-ever': {
    sentence: 'a request outlives its deadline',
    wrap: (broker) =>
      but(broker, { request: (to, body, options) => broker.request(to, body, { ...options, timeoutMs: 3_600_000 }) }),
    found: ['asking.timeout'],
  },
  'hears-nothing': {
    sentence: 'a listener is never called',
    wrap: (broker) => but(broker, { on: () => () => {} }),
    found: ['handling.events', 'refusing.listeners'],
  },
}
