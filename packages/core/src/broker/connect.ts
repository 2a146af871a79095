import {
  anything,
  callable,
  checkOptions,
  flag,
  listOf,
  ms,
  object,
  oneOf,
  type Rule,
  show,
  signal as signalRule,
} from '../checked.ts'
import { aloneGate } from '../consuming/alone.ts'
import type { ConsumerOverride } from '../consuming/settings.ts'
import { planOf } from '../driver/adapter.ts'
import { pause, systemClock } from '../driver/clock.ts'
import { newId } from '../driver/id.ts'
import type { Driver, DriverContext } from '../driver/seam.ts'
import { MessagingError } from '../errors.ts'
import type { Broker } from '../face/broker.ts'
import type { Adapter, ConnectOptions, Need } from '../face/connecting.ts'
import type { ConsumeExtension, SendExtension } from '../face/extending.ts'
import type { Delivery } from '../face/handling.ts'
import type { Producer } from '../face/sending.ts'
import type { Store } from '../face/stores.ts'
import { noneUnsent } from '../producing/flushing.ts'
import { createProducer } from '../producing/producer.ts'
import { relay } from '../producing/relay.ts'
import type { TopicOverride } from '../topic.ts'
import { brokerOf } from './broker.ts'
import { eventBus } from './events.ts'
import type { OpenKeeper } from './keeper.ts'
import { lagMeter } from './operating.ts'
import type { Runtime } from './runtime.ts'
import { relayed, topicBook } from './topic-book.ts'

/** What the umbrella adds to a connection, so that core leans on nobody. */
export interface Parts {
  /** From @posthorn/reliability: outbox, schedule, half messages, parked keys, spool. */
  readonly openKeeper?: OpenKeeper | undefined
  /** `idempotent`, for `exactly-once-effects`. */
  readonly inbox?: ((options?: { readonly by?: (delivery: Delivery) => string }) => ConsumeExtension) | undefined
  /** For `concurrency: { group }`. */
  readonly slots?: ((max: number) => ConsumeExtension) | undefined
  /** The adapter whose store a URL names. */
  readonly storeAdapter?: ((url: string) => Promise<Adapter>) | undefined
  /** What configuration says of topics, by name. */
  readonly topics?: Readonly<Record<string, TopicOverride>> | undefined
  /** What it says of consumers, by group. */
  readonly consumers?: Readonly<Record<string, ConsumerOverride>> | undefined
}

/** Connects by an adapter. `posthorn` has the `connect` that takes URLs, too. */
export async function connectAdapter(
  adapter: Adapter,
  options: ConnectOptions & { readonly needs?: readonly Need[] | undefined } = {},
  parts: Parts = {},
): Promise<Broker> {
  check(adapter, options)
  const plan = planOf(adapter)
  checkDurable(adapter)
  const missing = options.needs?.find((need) => adapter.capabilities[need] !== true)
  if (missing !== undefined)
    throw new MessagingError('unsupported', `this service needs '${missing}', which ${adapter.name} cannot do`)
  const clock = plan.clock ?? systemClock
  const events = eventBus(adapter.name, clock, options.log)
  const closing = new AbortController()
  const clientId = newId(clock.now())
  let awaySince: number | undefined
  const context: DriverContext = {
    namespace: options.namespace ?? '',
    topology: options.topology ?? 'declare',
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    clock,
    clientId,
    signal: options.signal ?? closing.signal,
    report(event) {
      if (closing.signal.aborted) return
      if (event.event === 'disconnected') {
        awaySince ??= clock.now()
        events.emit('disconnected', { error: event.error })
      } else if (awaySince !== undefined) {
        events.emit('connected', { afterMs: clock.now() - awaySince })
        awaySince = undefined
      }
    },
  }
  const { signal } = options
  const heed = (): void => {
    if (signal?.aborted === true)
      throw new MessagingError('aborted', `connect(): connecting to ${plan.address} was aborted`, {
        cause: signal.reason,
      })
  }
  heed()
  const driver = await plan.connect(context).catch((error: unknown) => {
    heed()
    throw error
  })
  try {
    heed()
    const given = await storeOf(options.store, { context, parts, driver, address: plan.address })
    return assemble({ adapter, options, parts, driver, context, closing, store: given, events })
  } catch (error) {
    await driver.close().catch(() => {})
    throw error
  }
}

const extension: Rule = (value) =>
  object(value) === undefined &&
  ['send', 'consume'].some((half) => callable((value as Readonly<Record<string, unknown>>)[half]) === undefined)
    ? undefined
    : 'an extension with send, with consume, or with both'

function check(adapter: Adapter, options: ConnectOptions): void {
  if (typeof adapter !== 'object' || adapter === null || typeof adapter['~adapter'] !== 'object')
    throw new MessagingError(
      'invalid',
      `connect(): ${show(adapter)} is neither a URL nor an adapter; give 'sqlite:./data/app.db' or what rabbitmq(...) returns`,
    )
  checkOptions('connect()', options, {
    store: anything,
    namespace: (value) =>
      typeof value === 'string' && /^[a-z0-9][a-z0-9_-]{0,39}$/i.test(value)
        ? undefined
        : 'letters, digits, - and _, at most 40',
    use: listOf(extension),
    topology: oneOf('declare', 'check', 'none'),
    connectTimeoutMs: ms(1),
    log: (value) => (value === false || callable(value) === undefined ? undefined : 'false or a function'),
    singleHost: flag,
    signal: signalRule,
    needs: (value) =>
      Array.isArray(value) && value.every((each) => each === 'replay' || each === 'query')
        ? undefined
        : "an array of 'replay' and 'query'",
  })
}

/** In production nothing that is sent, and nothing that is put away, may end with the process unless that was asked for. */
function checkDurable(adapter: Adapter): void {
  const { volatile, volatileAllowed } = planOf(adapter)
  if (volatile === true && volatileAllowed !== true && process.env['NODE_ENV'] === 'production')
    throw new MessagingError(
      'unsupported',
      `${adapter.name} keeps nothing when the process ends, and NODE_ENV is production; use sqlite:./data/app.db, or say ${adapter.name}({ allowInProduction: true })`,
    )
}

interface Beside {
  readonly context: DriverContext
  readonly parts: Parts
  readonly driver: Driver
  /** Of the broker. */
  readonly address: string
}

/** A store that was given: opened here (then closed with the broker), the caller's own, or the broker itself, which has its own then. */
async function storeOf(
  given: ConnectOptions['store'],
  { context, parts, driver, address }: Beside,
): Promise<{ readonly store: Store; readonly ours: boolean } | undefined> {
  if (given === undefined) return undefined
  if (object(given) === undefined && '~store' in (given as object)) return { store: given as Store, ours: false }
  const adapter = await storeAdapter(given as string | Adapter, parts)
  checkDurable(adapter)
  const plan = planOf(adapter)
  if (plan.openStore === undefined)
    throw new MessagingError('unsupported', `${adapter.name} cannot be a store; use sqlite:./data/app.db`)
  if (driver.store !== undefined && plan.address === address) return undefined
  return { store: await plan.openStore(context), ours: true }
}

async function storeAdapter(given: string | Adapter, { storeAdapter: named }: Parts): Promise<Adapter> {
  if (typeof given === 'string') {
    if (named === undefined)
      throw new MessagingError('unsupported', 'a store by URL needs `posthorn`; here, pass an adapter or an open store')
    return named(given)
  }
  if (object(given) !== undefined || !('~adapter' in given))
    throw new MessagingError(
      'invalid',
      `connect(): store is ${show(given)}; give a URL, an adapter, or a store that one opened`,
    )
  return given
}

/** How far what is kept there is seen. */
const reach: Readonly<Record<Store['scope'], number>> = { process: 0, machine: 1, shared: 2 }

/** Whether nobody sees the broker who does not see the store: a broker that is a store itself has that one's scope, any other is one of a network. */
function seesAll(store: Store | undefined, driver: Driver): boolean {
  return store !== undefined && driver.store !== undefined && reach[store.scope] >= reach[driver.store.scope]
}

interface Assembly {
  readonly adapter: Adapter
  readonly options: ConnectOptions
  readonly parts: Parts
  readonly driver: Driver
  readonly context: DriverContext
  readonly closing: AbortController
  readonly store: { readonly store: Store; readonly ours: boolean } | undefined
  readonly events: ReturnType<typeof eventBus>
}

function assemble({ adapter, options, parts, driver, context, closing, store: given, events }: Assembly): Broker {
  const { clock } = context
  const plan = planOf(adapter)
  const use = options.use ?? []
  const store = given?.store ?? driver.store
  let shut = false
  let producer: Producer | undefined
  const topics = topicBook(adapter.name, driver, context, parts.topics ?? {})
  const runtime: Runtime = {
    name: adapter.name,
    address: plan.address,
    adapter,
    capabilities: adapter.capabilities,
    driver,
    traits: { ...plan.traits, ...driver.lacks },
    clock,
    connectTimeoutMs: context.connectTimeoutMs,
    clientId: context.clientId,
    events,
    store,
    storeIsDriver: store !== undefined && store === driver.store,
    inbox: parts.inbox,
    slots: parts.slots,
    relay: (dispatch) => relaying.send(dispatch),
    producer: () => (producer ??= createProducer(runtime)),
    unsent: noneUnsent(),
    sendUse: use.filter((each): each is SendExtension => 'send' in each),
    consumeUse: use.filter((each): each is ConsumeExtension => 'consume' in each),
    consumers: parts.consumers ?? {},
    singleHost: options.singleHost ?? seesAll(store, driver),
    meter: lagMeter(clock),
    alone: aloneGate(clock),
    ...topics,
    closing: closing.signal,
    open(what) {
      if (shut) throw new MessagingError('closed', `${what}: this broker is closed; connect again`)
    },
    keeper: undefined,
  }
  const relaying = relay(runtime)
  const keeper =
    store?.keeps.held === true
      ? parts.openKeeper?.({
          store,
          driver,
          clock,
          events,
          topicOf: (name) => topics.specNamed(name),
          relay: (rows) => Promise.all(rows.map((each) => relayed(runtime, topics, relaying, each))),
        })
      : undefined
  Object.assign(runtime, { keeper })
  if (store !== undefined && !runtime.storeIsDriver && store.scope !== 'shared' && !runtime.singleHost)
    events.say(
      `the ${store.name} store is seen by one ${store.scope} only: cancel, locks and inbox hold there; say singleHost: true if that is all there is`,
    )
  return brokerOf(runtime, {
    begin() {
      shut = true
    },
    async finish(withinMs) {
      shut = true
      const kept = keeper?.close()
      await Promise.race([kept, pause(clock, withinMs, closing.signal)])
      closing.abort(new MessagingError('closed', 'the broker is closed'))
      await kept
      await driver.close()
      if (given?.ours === true) await given.store.close()
    },
  })
}
