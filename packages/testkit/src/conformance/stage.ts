import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Adapter, Capabilities, Filter, Ordering, Store } from '@posthorn/core'
import type {
  AdapterPlan,
  Arrival,
  Dispatch,
  Driver,
  DriverContext,
  SendControl,
  SendResult,
  Settlement,
  Source,
  SourceEvent,
  Subscription,
  TopicSpec,
  Traits,
} from '@posthorn/core/driver'
import { newId, planOf, systemClock } from '@posthorn/core/driver'
import { plainMessage } from '../plain-message.ts'
import type { Harness } from './harness.ts'
import { until, within } from './waiting.ts'

/** What a scenario stands on: a namespace of its own, connections that are closed behind it, and words to say what it means. */
export interface Stage {
  readonly harness: Harness
  readonly adapter: Adapter
  readonly plan: AdapterPlan
  readonly traits: Traits
  readonly capabilities: Capabilities
  readonly namespace: string
  readonly patienceMs: number
  readonly quietMs: number
  /** Aborts when the scenario ends. */
  readonly signal: AbortSignal
  /** A name that no other scenario uses. */
  name(hint?: string): string
  /** A topic with these groups; by default one, `g`, without order. */
  topic(over?: TopicWish): TopicSpec
  /** One more connection, as of another process. */
  connect(over?: Partial<DriverContext>): Promise<Driver>
  /** The adapter's store, opened once more, as by another process. */
  store(): Promise<Store>
  /** A topic that is declared by a new connection. */
  declared(over?: TopicWish): Promise<{ readonly driver: Driver; readonly topic: TopicSpec }>
  /** A member; by default of group `g`, from the start, with the order of the topic's declaration. */
  open(driver: Driver, source: TopicSpec | { readonly pattern: string }, over?: SubscriptionWish): Promise<Member>
  message(topic: TopicSpec | string, over?: Partial<Dispatch>): Dispatch
  /** So many messages, numbered in their bodies from 0 on. */
  messages(topic: TopicSpec, count: number, over?: (n: number) => Partial<Dispatch>): Dispatch[]
  /** Sends and expects every receipt to be good. */
  send(driver: Driver, messages: readonly Dispatch[], over?: Partial<SendControl>): Promise<readonly SendResult[]>
  until<T>(what: string, ask: () => T | undefined | false | Promise<T | undefined | false>): Promise<T>
  within<T>(what: string, ms: number, promise: Promise<T>): Promise<T>
  /** Lets time pass for the broker. */
  pass(ms: number): Promise<void>
  now(): number
  /** Runs when the scenario is over. */
  after(call: () => Promise<unknown>): void
}

/** Of a topic what a scenario cares for. */
export interface TopicWish extends Partial<Omit<TopicSpec, 'groups'>> {
  readonly groups?: Readonly<Record<string, Ordering>> | undefined
  readonly filter?: Filter | undefined
}
/** Of a subscription what a scenario cares for. */
export interface SubscriptionWish extends Partial<Omit<Subscription, 'source' | 'report'>> {}

/** A source with the words of a scenario. */
export interface Member extends Required<Pick<Source, 'receive' | 'settle' | 'close'>> {
  readonly extend: Source['extend']
  readonly seek: Source['seek']
  readonly mark: Source['mark']
  readonly unmark: Source['unmark']
  readonly atomic: Source['atomic']
  /** What was reported to it. */
  readonly events: readonly SourceEvent[]
  /** One `receive` that must give something in time. */
  some(max?: number): Promise<readonly Arrival[]>
  /** Receives until so many different messages are in hand; nothing is settled. */
  hold(count: number): Promise<readonly Arrival[]>
  /** The same, each acknowledged as it comes. */
  eat(count: number): Promise<readonly Arrival[]>
  /** Fails if anything comes within the quiet time. */
  nothing(): Promise<void>
  /** Settles and expects every answer to be `ok`. */
  ack(arrivals: readonly Arrival[]): Promise<void>
  nack(arrivals: readonly Arrival[], over?: Partial<Settlement>): Promise<void>
}

let stages = 0
const setUps = new WeakSet<object>()

/** Whether this failed while the stage was being set, before the scenario could say anything. */
export function failedInSetUp(error: unknown): boolean {
  return typeof error === 'object' && error !== null && setUps.has(error)
}

async function settingUp<R>(work: Promise<R>): Promise<R> {
  try {
    return await work
  } catch (error) {
    if (typeof error === 'object' && error !== null) setUps.add(error)
    throw error
  }
}

/** Sets the stage for one scenario. */
export async function setStage(
  harness: Harness,
): Promise<{ readonly stage: Stage; readonly strike: () => Promise<void> }> {
  const namespace = `phc${randomBytes(4).toString('hex')}n${stages++}`
  const adapter = await harness.adapter(namespace)
  const plan = planOf(adapter)
  const clock = plan.clock ?? systemClock
  const patienceMs = harness.patienceMs ?? 15_000
  const quietMs = harness.quietMs ?? 300
  const over = new AbortController()
  const afterwards: (() => Promise<unknown>)[] = []
  let names = 0
  const context = (): DriverContext => ({
    namespace,
    topology: 'declare',
    connectTimeoutMs: 10_000,
    clock,
    clientId: `${namespace}-${names++}`,
    report: () => {},
    signal: over.signal,
  })

  const stage: Stage = {
    harness,
    adapter,
    plan,
    traits: { ...plan.traits, ...harness.lacks },
    capabilities: adapter.capabilities,
    namespace,
    patienceMs,
    quietMs,
    signal: over.signal,
    name: (hint = 't') => `${hint}${names++}`,
    topic: (wish = {}) => topicFrom(stage, wish),
    async store() {
      const beside = harness.store?.(namespace)
      const open = plan.openStore ?? (beside === undefined ? undefined : planOf(beside).openStore)
      assert.ok(open !== undefined, 'this adapter is no store')
      const store = await open(context())
      afterwards.push(() => store.close())
      return store
    },
    async connect(wish = {}) {
      const driver = await settingUp(plan.connect({ ...context(), ...wish }))
      afterwards.push(() => driver.close())
      return driver
    },
    async declared(wish) {
      const driver = await stage.connect()
      const topic = stage.topic(wish)
      await settingUp(within('declare', patienceMs, driver.declare(topic, over.signal)))
      return { driver, topic }
    },
    open: (driver, source, wish = {}) => settingUp(openMember(stage, driver, source, wish)),
    message: (topic, wish = {}) =>
      plainMessage({
        id: newId(clock.now()),
        topic: typeof topic === 'string' ? topic : topic.name,
        body: Buffer.from('{}'),
        contentType: 'application/json',
        sentAt: clock.now(),
        ...wish,
      }),
    messages: (topic, count, wish = () => ({})) =>
      Array.from({ length: count }, (_, n) => stage.message(topic, { body: Buffer.from(`${n}`), ...wish(n) })),
    async send(driver, messages, wish = {}) {
      const results = await within('send', patienceMs, driver.send(messages, { signal: over.signal, ...wish }))
      assert.equal(results.length, messages.length, 'one result per message')
      for (const result of results) assert.ok(result.ok, result.ok ? '' : `send failed: ${result.error.message}`)
      return results
    },
    until: (what, ask) => until(what, patienceMs, ask),
    within,
    pass: (ms) => harness.pass?.(adapter, ms) ?? sleep(ms),
    now: () => clock.now(),
    after: (call) => void afterwards.push(call),
  }
  const strike = async (): Promise<void> => {
    over.abort()
    await Promise.allSettled(afterwards.reverse().map((call) => within('close', 10_000, call())))
    await harness.cleanUp?.(namespace)
  }
  return { stage, strike }
}

function topicFrom(stage: Stage, { groups = { g: 'none' }, filter, ...over }: TopicWish): TopicSpec {
  return {
    name: stage.name(),
    partitions: 2,
    groups: Object.entries(groups).map(([name, order]) => ({ name, order, filter })),
    retentionMs: undefined,
    keyed: Object.values(groups).some((order) => order !== 'none'),
    priority: undefined,
    on: undefined,
    ...over,
  }
}

async function openMember(
  stage: Stage,
  driver: Driver,
  source: TopicSpec | { readonly pattern: string },
  wish: SubscriptionWish,
): Promise<Member> {
  const events: SourceEvent[] = []
  const group = wish.group ?? 'g'
  const declared = 'groups' in source ? source.groups.find((each) => each.name === group) : undefined
  const opened = await within(
    'open',
    Math.max(stage.patienceMs, 15_000),
    driver.open(
      {
        source,
        mode: 'shared',
        group,
        member: stage.name('m'),
        order: declared?.order ?? 'none',
        window: 100,
        from: 'earliest',
        filter: declared?.filter,
        report: (event) => void events.push(event),
        ...wish,
      },
      stage.signal,
    ),
  )
  return memberOf(stage, opened, events)
}

function memberOf(stage: Stage, source: Source, events: readonly SourceEvent[]): Member {
  const some = async (max = 100): Promise<readonly Arrival[]> => {
    const got = await source.receive(max, AbortSignal.any([stage.signal, AbortSignal.timeout(stage.patienceMs)]))
    assert.ok(got.length > 0, `nothing came within ${stage.patienceMs} ms`)
    return got
  }
  const gather = async (count: number, settle: boolean): Promise<readonly Arrival[]> => {
    const held = new Map<string, Arrival>()
    const end = performance.now() + stage.patienceMs
    while (held.size < count) {
      const left = Math.max(1, end - performance.now())
      const got = await source.receive(100, AbortSignal.any([stage.signal, AbortSignal.timeout(Math.ceil(left))]))
      if (settle) await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
      for (const each of got) held.set(each.id, held.get(each.id) ?? each)
      // Also where the same few come again and again.
      if (held.size < count && performance.now() >= end)
        assert.fail(
          `${held.size} of ${count} messages came within ${stage.patienceMs} ms: ${bodies([...held.values()])}`,
        )
    }
    return [...held.values()]
  }
  const settled = async (batch: readonly Settlement[]): Promise<void> => {
    assert.deepEqual(
      await within('settle', stage.patienceMs, source.settle(batch)),
      batch.map(() => 'ok'),
    )
  }
  return {
    events,
    receive: source.receive.bind(source),
    settle: source.settle.bind(source),
    close: source.close.bind(source),
    extend: source.extend?.bind(source),
    seek: source.seek?.bind(source),
    mark: source.mark?.bind(source),
    unmark: source.unmark?.bind(source),
    atomic: source.atomic?.bind(source),
    some,
    hold: (count) => gather(count, false),
    eat: (count) => gather(count, true),
    async nothing() {
      const got = await source.receive(10, AbortSignal.timeout(stage.quietMs))
      assert.equal(got.length, 0, `nothing should have come, but there was ${bodies(got)}`)
    },
    ack: (arrivals) => settled(arrivals.map(({ token }) => ({ token, verdict: 'ack' }))),
    nack: (arrivals, over = {}) =>
      settled(arrivals.map(({ token }) => ({ ...over, token, verdict: 'nack' }) as Settlement)),
  }
}

/** The bodies as text, for a reader of a failure and for comparing orders. */
export function bodies(arrivals: readonly { readonly body: Uint8Array }[]): string {
  return arrivals.map(({ body }) => Buffer.from(body).toString()).join(' ')
}
