// What the tests of this folder stand on: connections to the real broker, with and without a proxy before it.

import { randomBytes } from 'node:crypto'
import { portsOfNode } from '@posthorn/brokers'
import type {
  Arrival,
  Dispatch,
  Driver,
  DriverContext,
  Source,
  SourceEvent,
  Subscription,
  TopicSpec,
} from '@posthorn/core/driver'
import { newId, planOf, systemClock } from '@posthorn/core/driver'
import { type FaultProxy, faultProxy, plainMessage } from '@posthorn/testkit'
import { onTestFinished } from 'vitest'
import { type KafkaOptions, kafka } from '../src/index.ts'
import { address, removeTopics } from './topics.ts'
import { until } from './waiting.ts'

export { address, until }

export const clients = ['kafkajs', 'platformatic'] as const
export type ClientName = (typeof clients)[number]

/** A proxy before the broker's second listener, which advertises it: clients that begin there stay behind it. */
export async function proxied(): Promise<FaultProxy> {
  await address()
  const { proxied: to, proxy: listen } = portsOfNode('kafka')
  const proxy = await faultProxy({ to: { host: '127.0.0.1', port: to as number }, listen: listen as number })
  onTestFinished(() => proxy.close())
  return proxy
}

/** A driver in a namespace; closed when the test is over. */
export async function connect(
  namespace: string,
  options: Partial<KafkaOptions> & { readonly client: ClientName },
  over: Partial<DriverContext> = {},
): Promise<Driver> {
  const driver = await planOf(kafka({ brokers: await address(), ...options })).connect({
    namespace,
    topology: 'declare',
    connectTimeoutMs: 10_000,
    clock: systemClock,
    clientId: `${namespace}-test`,
    report: () => {},
    signal: new AbortController().signal,
    ...over,
  })
  onTestFinished(() => driver.close())
  return driver
}

/** A name that no other test uses; topics that begin with it are removed when the test is over. */
export function name(): string {
  const made = `t${randomBytes(5).toString('hex')}`
  onTestFinished(() => removeTopics(made))
  return made
}

export function topicOf(over: Partial<TopicSpec> = {}): TopicSpec {
  return {
    name: 'orders',
    partitions: 4,
    groups: [],
    retentionMs: undefined,
    keyed: true,
    priority: undefined,
    on: undefined,
    ...over,
  }
}

export function message(n: number, over: Partial<Dispatch> = {}): Dispatch {
  return plainMessage({
    id: newId(Date.now()),
    topic: 'orders',
    body: Buffer.from(`${n}`),
    sentAt: Date.now(),
    ...over,
  })
}

/** A member of group `g`, with what was reported to it; closed when the test is over. */
export async function open(
  driver: Driver,
  topic: TopicSpec,
  over: Partial<Subscription> = {},
): Promise<Source & { readonly events: SourceEvent[] }> {
  const events: SourceEvent[] = []
  const source = await driver.open(
    {
      source: topic,
      mode: 'shared',
      group: 'g',
      member: randomBytes(5).toString('hex'),
      order: 'key',
      window: 1_000,
      from: 'earliest',
      filter: undefined,
      report: (event) => events.push(event),
      ...over,
    },
    AbortSignal.timeout(20_000),
  )
  onTestFinished(() => source.close())
  return Object.assign(source, { events })
}

/** Receives until `enough`; nothing is settled. */
export async function receive(source: Source, count: number, ms = 20_000): Promise<Arrival[]> {
  const signal = AbortSignal.timeout(ms)
  const got: Arrival[] = []
  while (got.length < count && !signal.aborted) got.push(...(await source.receive(count - got.length, signal)))
  return got
}

/** The same, each acknowledged as it comes. */
export async function eat(source: Source, count: number, ms = 20_000): Promise<Arrival[]> {
  const got = await receive(source, count, ms)
  await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
  return got
}

export const bodies = (arrivals: readonly Arrival[]): string[] =>
  arrivals.map(({ body }) => Buffer.from(body).toString())

/** Everything of a topic, read by nobody's group. */
export async function log(driver: Driver, topic: TopicSpec): Promise<string[]> {
  const all: Arrival[] = []
  const everything = { id: undefined, key: undefined, from: undefined, to: undefined }
  for await (const each of driver.query?.(topic, everything, AbortSignal.timeout(20_000)) ?? []) all.push(each)
  return bodies(all)
}
