import assert from 'node:assert/strict'
import type {
  Broker,
  ConnectOptions,
  DeadLetter,
  DeadLetters,
  Delivery,
  Topic,
  TopicOptions,
  Verdict,
} from '@posthorn/core'
import { connectAdapter, topic } from '@posthorn/core'
import type { Driver } from '@posthorn/core/driver'
import type { Stage } from './stage.ts'

/** A broker of this scenario, closed behind it. */
export async function broker(stage: Stage, options: ConnectOptions = {}): Promise<Broker> {
  const store = stage.harness.store?.(stage.namespace)
  const beside = store === undefined ? {} : { store, singleHost: true }
  const made = await connectAdapter(
    stage.adapter,
    { namespace: stage.namespace, log: false, ...beside, ...options },
    stage.harness.parts,
  )
  stage.after(() => made.close({ drainMs: 100 }))
  return stage.harness.face?.(made) ?? made
}

/** A topic that only this scenario uses; its group `g` is named, so that queue brokers know it before its reader comes. */
export function topicFor<T>(stage: Stage, options: TopicOptions<T> = {}): Topic<T> {
  return topic<T>(stage.name(), { groups: ['g'], partitions: 2, ...options })
}

/** A bare connection that knows a topic of `topicFor`, as core would have told it. */
export async function driverFor(stage: Stage, of: Topic<never, unknown>, partitions = 2): Promise<Driver> {
  const driver = await stage.connect()
  await driver.declare(stage.topic({ name: of.name, groups: {}, partitions }), stage.signal)
  return driver
}

/** What a handler was called with. */
export interface Calls<T> {
  readonly all: readonly Delivery<T>[]
  readonly bodies: readonly T[]
  /** Give this to `consume`. */
  handler(delivery: Delivery<T>): Promise<Verdict | undefined>
  /** Resolves when the handler was called so often. */
  reached(count: number): Promise<void>
  /** Fails if the handler is called more often within the quiet time. */
  noMore(): Promise<void>
}

/** Records deliveries, then does what the scenario wants done with them. */
export function calls<T>(
  stage: Stage,
  then: (delivery: Delivery<T>, nth: number) => Promise<Verdict | undefined> | Verdict | undefined = () => undefined,
): Calls<T> {
  const all: Delivery<T>[] = []
  return {
    all,
    get bodies() {
      return all.map(({ body }) => body)
    },
    async handler(delivery) {
      all.push(delivery)
      return then(delivery, all.length)
    },
    async reached(count) {
      const end = performance.now() + stage.patienceMs
      await stage.until(`${count} calls of the handler`, () => all.length >= count || performance.now() > end)
      assert.ok(all.length >= count, `${all.length} of ${count} calls: ${JSON.stringify(all.map(({ body }) => body))}`)
    },
    async noMore() {
      const before = all.length
      await new Promise((resolve) => setTimeout(resolve, stage.quietMs))
      assert.deepEqual(
        all.slice(before).map(({ body }) => body),
        [],
        'the handler was called again',
      )
    },
  }
}

/** All letters, once there are as many. */
export function letters<T>(stage: Stage, of: DeadLetters<T>, count: number): Promise<DeadLetter<T>[]> {
  return stage.until(`${count} dead letters`, async () => {
    const found: DeadLetter<T>[] = []
    for await (const letter of of.list()) found.push(letter)
    return found.length >= count ? found : undefined
  })
}

/** Fails unless the call is refused by this code, and the message names what is wrong; `of` says which of many it was. */
export async function refused(code: string | RegExp, call: () => unknown, names?: RegExp, of = 'it'): Promise<void> {
  let error: unknown
  try {
    await call()
  } catch (thrown) {
    error = thrown
  }
  assert.ok(error !== undefined, `${of} was not refused, but ${code} was expected`)
  const found = String((error as { readonly code?: unknown }).code)
  const fits = typeof code === 'string' ? found === code : code.test(found)
  assert.ok(fits, `${of} was refused as ${found} and not as ${code}: ${error}`)
  if (names !== undefined) assert.match((error as Error).message, names)
}
