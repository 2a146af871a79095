// Drivers, topics and messages for tests against the real broker.

import { randomBytes } from 'node:crypto'
import {
  type Arrival,
  type Dispatch,
  type Driver,
  type DriverContext,
  newId,
  planOf,
  type Source,
  type Subscription,
  systemClock,
  type TopicSpec,
} from '@posthorn/core/driver'
import { plainMessage } from '@posthorn/testkit'
import { afterAll, afterEach } from 'vitest'
import { type RabbitClient, type RabbitOptions, rabbitmq } from '../index.ts'
import { managementOf } from './management.ts'

/** What the tests of one file stand on: connections are closed behind each test, what they made is removed at the end. */
export interface Fixture {
  readonly namespace: string
  connect(options?: RabbitOptions, over?: Partial<DriverContext>): Promise<Driver<RabbitClient>>
  topic(over?: Partial<TopicSpec>): TopicSpec
  message(topic: TopicSpec, over?: Partial<Dispatch>): Dispatch
  open(driver: Driver, topic: TopicSpec, over?: Partial<Subscription>): Promise<Source>
  /** Receives so many, each acknowledged where `ack` says so. */
  receive(source: Source, count: number, ack?: boolean, withinMs?: number): Promise<readonly Arrival[]>
  /** Runs when the test is over. */
  after(call: () => Promise<unknown>): void
}

/** A fixture on a broker of this checkout. */
export function fixtureOn(name: string, url: string): Fixture {
  const namespace = `rmq${randomBytes(4).toString('hex')}`
  const afterwards: (() => Promise<unknown>)[] = []
  let count = 0
  afterEach(async () => {
    await Promise.allSettled(
      afterwards
        .splice(0)
        .reverse()
        .map((call) => call()),
    )
  })
  afterAll(() => managementOf(name).remove(`${namespace}:`))
  return {
    namespace,
    after: (call) => void afterwards.push(call),
    async connect(options = { url }, over = {}) {
      const driver = (await planOf(rabbitmq(options)).connect({
        namespace,
        topology: 'declare',
        connectTimeoutMs: 5_000,
        clock: systemClock,
        clientId: `${namespace}-${count++}`,
        report: () => {},
        signal: new AbortController().signal,
        ...over,
      })) as Driver<RabbitClient>
      afterwards.push(() => driver.close())
      return driver
    },
    topic: (over = {}) => ({
      name: `t${count++}`,
      partitions: 4,
      groups: [{ name: 'g', order: 'none', filter: undefined }],
      retentionMs: undefined,
      keyed: false,
      priority: undefined,
      on: undefined,
      ...over,
    }),
    message: (topic, over = {}) =>
      plainMessage({
        id: newId(Date.now()),
        topic: topic.name,
        body: Buffer.from('{}'),
        contentType: 'application/json',
        sentAt: Date.now(),
        ...over,
      }),
    open: (driver, topic, over = {}) =>
      driver.open(
        {
          source: topic,
          mode: 'shared',
          group: 'g',
          member: `m${count++}`,
          order: topic.groups[0]?.order ?? 'none',
          window: 100,
          from: 'earliest',
          filter: undefined,
          report: () => {},
          ...over,
        },
        new AbortController().signal,
      ),
    async receive(source, wanted, ack = true, withinMs = 10_000) {
      const got: Arrival[] = []
      const end = AbortSignal.timeout(withinMs)
      while (got.length < wanted && !end.aborted) {
        const arrivals = await source.receive(wanted - got.length, end)
        got.push(...arrivals)
        if (ack && arrivals.length > 0)
          await source.settle(arrivals.map(({ token }) => ({ token, verdict: 'ack' as const })))
      }
      return got
    },
  }
}
