// What each pattern adds per message: CPU beside the same without it, and how often it asks its store (each a round trip on a network).
import { fixed, nack, reject, retry } from '@posthorn/core'
import { adaptive } from '../packages/reliability/src/adaptive.ts'
import { breaker } from '../packages/reliability/src/breaker.ts'
import { bulkhead } from '../packages/reliability/src/bulkhead.ts'
import { newerOnly, transitions } from '../packages/reliability/src/guards.ts'
import { idempotent } from '../packages/reliability/src/idempotent.ts'
import { newestFirst } from '../packages/reliability/src/newest-first.ts'
import { pauseOnBurst } from '../packages/reliability/src/pause-on-burst.ts'
import { rateLimit } from '../packages/reliability/src/rate-limit.ts'
import { retryBudget } from '../packages/reliability/src/retry-budget.ts'
import { skipOlder } from '../packages/reliability/src/skip-older.ts'
import { timeout } from '../packages/reliability/src/timeout.ts'
import type { BenchFile, Case } from './harness/case.ts'
import { type Order, orderOf } from './parts/measuring.ts'
import { asking, type Pattern, type Place, through } from './parts/patterns.ts'
import { ordersOf } from './parts/through.ts'

/** A pattern with what it may cost: µs of CPU per message on each place beside the same without it, and calls of its store. */
interface Measured extends Pattern {
  readonly name: string
  readonly plus: Partial<Record<Place, number>>
  readonly asks: number
  /** The same without it; a plain send and an empty handler unless said otherwise. */
  readonly without?: Pattern
}

const perSecond = 1e9
const effects = { guarantee: 'exactly-once-effects' } as const
const table =
  (sql: string): Pattern['prepare'] =>
  (store) =>
    store.transaction(async (tx) => void (await tx.query(sql)))
const rows = 1_000
const row = ({ body }: { readonly body: unknown }): string => `${(body as Order).id % rows}`

/** What writes an effect in a transaction of its own: what an inbox stands in. */
const writing: Pattern = {
  prepare: table('CREATE TABLE effect (id TEXT)'),
  async handle({ id, tx }, store) {
    const write = 'INSERT INTO effect (id) VALUES ($1)'
    if (tx === undefined) await store.transaction((own) => own.query(write, [id]))
    else await tx.query(write, [id])
    return undefined
  },
}
/** A guard of rows that are there; the handler does no more. */
const guarded = (
  column: string,
  use: NonNullable<Pattern['use']>,
): Pick<Measured, 'prepare' | 'options' | 'without' | 'use'> => {
  const prepare = table(
    `CREATE TABLE item AS WITH RECURSIVE n(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id < ${rows - 1}) SELECT CAST(id AS TEXT) AS id, ${column} FROM n`,
  )
  return { prepare, options: effects, use, without: { prepare, options: effects } }
}

const patterns: readonly Measured[] = [
  { name: 'retry', plus: { memory: 2, sqlite: 2 }, asks: 0.001, use: () => [retry({ attempts: 5 })] },
  {
    // Each fails once and is tried again.
    name: 'retried',
    plus: { memory: 60, sqlite: 150 },
    asks: 0.001,
    use: () => [retry({ attempts: 5, backoff: fixed(0) })],
    handle: async ({ attempt }) => (attempt === 1 ? nack({ afterMs: 0 }) : undefined),
    most: 10_000,
  },
  {
    name: 'dead-letter',
    plus: { memory: 60, sqlite: 150 },
    asks: 0.001,
    handle: async () => reject('no'),
    most: 10_000,
  },
  { name: 'retryBudget', plus: { memory: 3, sqlite: 3 }, asks: 0.001, use: () => [retryBudget()] },
  {
    name: 'breaker',
    plus: { memory: 3, sqlite: 3 },
    asks: 0.001,
    use: () => [breaker({ failures: 5, openMs: 1_000 })],
  },
  { name: 'bulkhead', plus: { memory: 3, sqlite: 3 }, asks: 0.001, use: () => [bulkhead({ max: 1_000 })] },
  {
    name: 'rateLimit',
    plus: { memory: 3, sqlite: 3 },
    asks: 0.001,
    use: () => [rateLimit({ perSecond, burst: 1_000_000 })],
  },
  {
    name: 'rateLimit-group',
    plus: { memory: 30, sqlite: 150 },
    asks: 1.01,
    use: () => [rateLimit({ perSecond, burst: 1_000_000, scope: 'group' })],
    most: 10_000,
  },
  {
    name: 'group-concurrency',
    plus: { memory: 15, sqlite: 30 },
    asks: 0.1,
    options: { concurrency: { process: 64, group: 64 } },
    without: { options: { concurrency: 64 } },
    most: 10_000,
  },
  {
    name: 'adaptive',
    plus: { memory: 5, sqlite: 5 },
    asks: 0.001,
    use: () => [adaptive({ targetMs: 1_000, min: 256, max: 256 })],
  },
  { name: 'timeout', plus: { memory: 15, sqlite: 15 }, asks: 0.001, use: () => [timeout(60_000)] },
  {
    name: 'skipOlder',
    plus: { memory: 3, sqlite: 3 },
    asks: 0.001,
    use: () => [skipOlder({ olderThanMs: 1e9, consent: 'discard' })],
  },
  {
    name: 'newestFirst',
    plus: { memory: 3, sqlite: 3 },
    asks: 0.001,
    options: { order: 'none' },
    use: () => [newestFirst()],
  },
  {
    name: 'pauseOnBurst',
    plus: { memory: 2, sqlite: 2 },
    asks: 0.001,
    use: () => [pauseOnBurst({ of: ordersOf(0), group: 'others', above: 1_000_000 })],
  },
  { name: 'inbox', plus: { memory: 30 }, asks: 1.01, use: () => [idempotent()] },
  {
    name: 'inbox-effect',
    plus: { sqlite: 60 },
    asks: 2.01,
    ...writing,
    options: effects,
    without: writing,
    most: 5_000,
  },
  {
    name: 'inbox-table',
    plus: { sqlite: 60 },
    asks: 1.01,
    options: effects,
    prepare: table('CREATE TABLE seen (id TEXT PRIMARY KEY)'),
    use: () => [idempotent({ table: { name: 'seen' } })],
    without: writing,
    most: 5_000,
  },
  {
    name: 'claim',
    plus: { memory: 30, sqlite: 300 },
    asks: 2.01,
    use: () => [idempotent({ mode: 'claim' })],
    most: 5_000,
  },
  {
    name: 'lock',
    plus: { memory: 30, sqlite: 300 },
    asks: 2.01,
    handle: async ({ id }, store) => {
      await store.lock(id, { ttlMs: 30_000 }, async () => {})
      return undefined
    },
    most: 5_000,
  },
  {
    // Always newer: the inbox row and one statement more; one that is not newer costs a second.
    name: 'version-guard',
    plus: { sqlite: 60 },
    asks: 2.01,
    ...guarded('0 AS version', () => {
      let version = 0
      return [newerOnly({ table: 'item', of: (each) => ({ key: row(each), version: ++version }) })]
    }),
    most: 5_000,
  },
  {
    name: 'state-machine',
    plus: { sqlite: 60 },
    asks: 2.01,
    ...guarded("'open' AS state", () => [
      transitions({ table: 'item', allowed: { open: ['open'] }, of: (each) => ({ key: row(each), to: 'open' }) }),
    ]),
    most: 5_000,
  },
  {
    name: 'park',
    plus: { memory: 20, sqlite: 60 },
    asks: 1,
    keyed: true,
    options: { onFailure: 'park' },
    without: { keyed: true },
    most: 10_000,
  },
  {
    // One row in with the commit, one out; many are claimed at once. Where the transport is the store the message itself is in the commit.
    name: 'outbox',
    plus: { memory: 30, sqlite: 200 },
    asks: 2.5,
    send: (producer, orders, n, store) => store.transaction((tx) => producer.send(orders, orderOf(n), { tx })),
    most: 5_000,
  },
  {
    name: 'schedule',
    plus: { memory: 20, sqlite: 60 },
    asks: 2,
    send: (producer, orders, n) => producer.send(orders, orderOf(n), { delayMs: 1 }),
    most: 10_000,
  },
  {
    name: 'cancel',
    plus: { memory: 20, sqlite: 200 },
    asks: 2.01,
    silent: true,
    send: async (producer, orders, n) =>
      producer.cancel(await producer.send(orders, orderOf(n), { delayMs: 3_600_000 })),
    most: 5_000,
  },
  {
    name: 'half',
    plus: { memory: 60, sqlite: 600 },
    asks: 3.5,
    send: (producer, orders, n) => producer.sendHalf(orders, orderOf(n), async () => {}),
    most: 5_000,
  },
]

const caseOf =
  (pattern: Measured) =>
  (place: Place): readonly Case[] => {
    const { name, plus, asks, without = {}, most } = pattern
    const added = plus[place]
    if (added === undefined) return []
    const plain = most === undefined ? without : { ...without, most }
    return [
      {
        what: `${name} on ${place}: sent and handled, 256 at once`,
        posthorn: through(pattern, place),
        reference: { name: `without it + ${added}`, block: through(plain, place), plus: added },
        goals: [{ id: `cost.${name}.${place}`, unit: 'µs CPU/message', atMost: 1 }],
      },
      {
        what: `${name}: how often a store on ${place} is asked`,
        posthorn: asking(pattern, place),
        reference: { name: 'budget', plus: asks },
        goals: [{ id: `asks.${name}.${place}`, unit: 'store calls/message', atMost: 1 }],
      },
    ]
  }

export const { cases }: BenchFile = {
  cases: patterns.flatMap((pattern) => (['memory', 'sqlite'] as const).flatMap(caseOf(pattern))),
}
