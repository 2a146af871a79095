// One process of the run with all patterns on: sends copies, schedules, cancels, prepares half messages and handles all of it, until it is killed or told to stop.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  connect,
  type EffectDelivery,
  exponential,
  retry,
  type Topic,
  topic,
} from '../../packages/posthorn/src/index.ts'
import { randomFrom } from './random.ts'

const [url = '', file = '', folder = '', namespace = '', quotaText = '0', name = '', lifeText = '0'] =
  process.argv.slice(2)
const quota = Number(quotaText)
const random = randomFrom(Number(lifeText) * 1_000 + name.charCodeAt(1))

/** Ids under way at once; a kill has them all done again. */
const atOnce = 100
/** Longest that a schedule waits. */
const longestDelayMs = 8_000

/** Written down at once, so that a kill cannot take it back. */
const note = (line: string): void => appendFileSync(join(folder, `${name}.log`), `${line}\n`)
/** What this name did in its former lives. */
const former = existsSync(join(folder, `${name}.log`)) ? readFileSync(join(folder, `${name}.log`), 'utf8') : ''

const orders = topic<number>('orders', { groups: ['g'] })
const later = topic<number>('later', { groups: ['g'] })
const paid = topic<number>('paid', { groups: ['g'] })

// On a network broker the file is the store beside it.
const broker = await connect(
  url,
  url.startsWith('sqlite:')
    ? { log: false }
    : { log: false, namespace, store: `sqlite:${file}?synchronous=normal`, singleHost: true },
)
const producer = broker.producer()

const use = [retry({ attempts: 50, backoff: exponential({ firstMs: 5, maxMs: 200 }) })]
/** An effect; sometimes the handler fails after it, which rolls it back with its inbox row. */
async function effect({ id, tx }: EffectDelivery<number>, failing: boolean): Promise<void> {
  await tx.query('INSERT INTO app_effects (id, t) VALUES ($1, $2)', [id, Date.now()])
  if (failing) throw new Error('not this time')
}
const effectsOf = (from: Topic<number>) =>
  broker.consume(from, { group: 'g', concurrency: 32, guarantee: 'exactly-once-effects', use }, (delivery) =>
    effect(delivery, random() < 0.02),
  )
/** Many in one transaction, and one by one where one of them fails: every other process takes its copies so. */
const effectsOfMany = (from: Topic<number>) =>
  broker.consume(
    from,
    { group: 'g', concurrency: 2, batch: { size: 50, waitMs: 5 }, guarantee: 'exactly-once-effects', use },
    async (deliveries) => {
      const fails = random() < 0.02 ? Math.floor(random() * deliveries.length) : -1
      for (const [n, delivery] of deliveries.entries()) await effect(delivery, n === fails)
    },
  )

broker.checkHalf(paid, async ({ id }) => {
  const { rows } = await broker.store.transaction((tx) => tx.query('SELECT state FROM app_paid WHERE id = $1', [id]))
  // Asked long after any work has ended: what is not in the table never was.
  return rows[0]?.['state'] === 'commit' ? 'commit' : 'rollback'
})
const odd = name.charCodeAt(1) % 2 === 1
await Promise.all([odd ? effectsOfMany(orders) : effectsOf(orders), effectsOf(later), effectsOf(paid)])

const cancels = new Set<Promise<void>>()
const schedules = { sent: 0, cancelled: 0 }
/** Until a tenth was cancelled in time, and some more: a kill takes the answers along. Of those that are being cancelled some will come too late. */
const oneMoreCancel = (): boolean => schedules.cancelled + cancels.size / 2 < schedules.sent / 9

/** One id of each kind. */
async function one(n: number): Promise<void> {
  const id = `o-${name}-${n}`
  await Promise.all([0, 1, 2].map(() => producer.send(orders, n, { id })))
  note(`sent ${id}`)
  const delayMs = 200 + Math.floor(random() * longestDelayMs)
  const ref = { id: `s-${name}-${n}-${lifeText}-${Date.now() + delayMs}`, topic: 'later' }
  await producer.send(later, n, { id: ref.id, delayMs })
  note(`scheduled ${ref.id}`)
  schedules.sent++
  if (oneMoreCancel()) {
    const cancel = cancelled(ref, Math.floor(random() * (delayMs + 200))).finally(() => cancels.delete(cancel))
    cancels.add(cancel)
  }
  if (n % 10 < 3) await half(`h-${name}-${n}-${lifeText}`, n)
}

async function cancelled(ref: { readonly id: string; readonly topic: string }, inMs: number): Promise<void> {
  await sleep(inMs)
  note(`cancel ${ref.id}`)
  const answer = await producer.cancel(ref)
  note(`${answer} ${ref.id}`)
  if (answer === 'cancelled') schedules.cancelled++
}

async function half(id: string, n: number): Promise<void> {
  const kind = (['commit', 'rollback', 'crash'] as const)[n % 3] as 'commit' | 'rollback' | 'crash'
  const local = (state: string): Promise<unknown> =>
    broker.store.transaction((tx) => tx.query('INSERT INTO app_paid (id, state) VALUES ($1, $2)', [id, state]))
  const sending = producer.sendHalf(
    paid,
    n,
    async () => {
      // What crashes between has committed here, or has not, and says nothing more.
      if (kind !== 'rollback' && (kind === 'commit' || random() < 0.5)) await local('commit')
      if (kind === 'crash') {
        note(`vanished ${id}`)
        return new Promise<never>(() => {})
      }
      if (kind === 'rollback') throw new Error('no money')
      return undefined
    },
    { id },
  )
  if (kind === 'crash') void sending.catch(() => {})
  else
    await sending.then(
      () => note(`committed ${id}`),
      () => note(`rolledback ${id}`),
    )
}

// Its parent is gone: nobody will ask for it any more.
process.once('disconnect', () => process.exit(1))
let stopping = false
process.on('SIGTERM', () => {
  stopping = true
})
let next = Math.max(-1, ...[...former.matchAll(/^done (\d+)$/gm)].map((match) => Number(match[1]))) + 1
if (next >= quota) process.send?.(next)
while (next < quota && !stopping) {
  const last = Math.min(quota, next + atOnce)
  const batch: Promise<void>[] = []
  for (let n = next; n < last; n++) batch.push(one(n))
  await Promise.all(batch)
  note(`done ${last - 1}`)
  next = last
  // The last report says that everything is sent: no cancel is to come, either.
  if (next >= quota) await Promise.all(cancels)
  process.send?.(next)
}
while (!stopping) await sleep(50)
// The work of those that vanished never ends: there is nothing to wait for.
await broker.close({ drainMs: 1_000 })
process.exit(0)
