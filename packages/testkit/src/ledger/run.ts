// An ordinary run with a ledger: what a service does, written down from both ends. Fault runs put their faults into it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker, ConsumeExtension, Consumer } from '@posthorn/core'
import { topic } from '@posthorn/core'
import type { CheckOptions } from './checker.ts'
import type { Ledger } from './ledger.ts'
import { consume } from './run-consumer.ts'
import { sendBatch } from './run-producer.ts'
import { type Course, courses, type Run, type RunBody, type RunGroup, runGroups } from './run-state.ts'

/** How big the run is and what it may ask of the broker. */
export interface RunOptions {
  /** Opens one more connection; each member has its own, as if it were a process of its own. */
  readonly connect: () => Promise<Broker>
  readonly ledger: Ledger
  readonly messages: number
  /** Default 7. */
  readonly keys?: number | undefined
  /** Messages sent at once. Default 20. */
  readonly batch?: number | undefined
  /** Without those that this broker refuses. Default all. */
  readonly courses?: readonly Course[] | undefined
  /** Of the topic; two runs on one broker need two. */
  readonly name?: string | undefined
  /** Such as `idempotent()`. */
  readonly use?: readonly ConsumeExtension[] | undefined
  /** Lets time pass where the broker's clock must be moved; real waiting unless given. */
  readonly pass?: ((ms: number) => Promise<void>) | undefined
  /** Called before each batch; what it does is a fault or nothing. */
  readonly between?: ((batch: number) => Promise<void> | void) | undefined
  /** Longest wait for the drain. Default 60 s. */
  readonly drainMs?: number | undefined
}

/** What the checker must be told of a run. */
export const runChecks: CheckOptions = { ordered: ['billing'] }

/** Sends, consumes, drains and closes; does not reject for what the broker did, which is in the ledger. */
export async function ledgerRun(options: RunOptions): Promise<void> {
  const run = newRun(options)
  const { drainMs = 60_000 } = options
  const orders = topic<RunBody>(run.name, {
    key: (body) => body.key,
    partitions: 4,
    groups: [
      { name: 'billing', order: 'key' },
      { name: 'audit', order: 'none' },
      { name: 'paid', order: 'none', filter: { tag: 'paid' } },
    ],
  })
  const brokers: Broker[] = []
  const connected = async (): Promise<Broker> => {
    const broker = await options.connect()
    brokers.push(broker)
    return broker
  }
  const member = async (group: RunGroup, seen: (number: number) => void = () => {}): Promise<Consumer | undefined> =>
    settled(run, 'consume()', 15_000, consume(run, await connected(), orders, group, seen))
  let reached: () => void = () => {}
  const half = new Promise<void>((resolve) => {
    reached = resolve
  })
  const first = await member('billing', (number) => {
    if (number >= run.messages >> 1) reached()
  })
  for (const group of runGroups) await member(group)
  // A member leaves in good order with work in hand, and another comes.
  const change = half.then(async () => {
    if (first !== undefined) await settled(run, 'stop()', 15_000, first.stop({ drainMs: 5_000 }))
    await member('billing')
  })
  const sender = await connected()
  const producer = sender.producer()
  const batches = Math.ceil(run.messages / run.batch)
  for (let n = 0; n < batches; n++) {
    await options.between?.(n)
    await settled(run, 'send()', 12_000, sendBatch(run, { broker: sender, producer, orders }, n))
  }
  await drained(run, drainMs)
  reached()
  await change
  await settled(run, 'lag() and deadLetters()', 10_000, takeStock(run, sender, orders))
  const from = run.ledger.now()
  await settled(run, 'close()', 11_000, Promise.all(brokers.map((broker) => broker.close())))
  await run.ledger.end({ closeMs: run.ledger.now() - from })
}

function newRun(options: RunOptions): Run {
  const { pass } = options
  return {
    ledger: options.ledger,
    name: options.name ?? 'ledger-run',
    messages: options.messages,
    keys: options.keys ?? 7,
    batch: options.batch ?? 20,
    courses: options.courses ?? courses,
    use: options.use ?? [],
    wanted: new Set(),
    done: new Set(),
    lastDue: 0,
    async tick() {
      if (pass === undefined) return sleep(20)
      // Whatever needs no time but its turn goes first.
      for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve))
      await pass(10)
    },
  }
}

/** Waits for work no longer than `ms` of the ledger's time, and writes down that it failed or did not end. */
async function settled<R>(run: Run, what: string, ms: number, work: Promise<R>): Promise<R | undefined> {
  let over = false
  const outcome = work
    .catch((error: unknown) => {
      run.ledger.rejection(error)
      return undefined
    })
    .finally(() => {
      over = true
    })
  for (const end = run.ledger.now() + ms; !over && run.ledger.now() < end; ) await Promise.race([outcome, run.tick()])
  if (over) return outcome
  run.ledger.rejection(new Error(`${what} had not settled after ${ms} ms`))
  return undefined
}

/** Waits until all that must come has come, and then for what must not. */
async function drained(run: Run, ms: number): Promise<void> {
  for (const end = run.ledger.now() + ms; run.wanted.size > 0 && run.ledger.now() < end; ) await run.tick()
  for (const end = Math.max(run.lastDue, run.ledger.now()) + 300; run.ledger.now() < end; ) await run.tick()
}

/** What lies on the shelves, and what is left in the groups. */
async function takeStock(run: Run, broker: Broker, orders: Parameters<Broker['lag']>[0]): Promise<void> {
  for (const group of runGroups) {
    for await (const letter of broker.deadLetters(orders, { group }).list())
      run.ledger.letter(letter.id, group, letter.reason)
    run.ledger.backlog(group, (await broker.lag(orders, { group })).backlog)
  }
  for await (const letter of broker.deadLetters(orders).list()) run.ledger.letter(letter.id, undefined, letter.reason)
}
