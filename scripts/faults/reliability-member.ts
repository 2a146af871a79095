// One process of the run with all patterns on: sends copies, schedules, cancels, prepares half messages and handles all of it, until it is killed or told to stop.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, exponential, retry, type Topic, topic } from '../../packages/posthorn/src/index.ts'
import { randomFrom } from './random.ts'

const [url = '', file = '', folder = '', namespace = '', quotaText = '0', name = '', lifeText = '0'] =
  process.argv.slice(2)
const quota = Number(quotaText)
const random = randomFrom(Number(lifeText) * 1_000 + name.charCodeAt(1))

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

const effectsOf = (from: Topic<number>) =>
  broker.consume(
    from,
    {
      group: 'g',
      concurrency: 32,
      guarantee: 'exactly-once-effects',
      use: [retry({ attempts: 50, backoff: exponential({ firstMs: 5, maxMs: 200 }) })],
    },
    async ({ id, tx }) => {
      const at = Date.now()
      await tx.query('INSERT INTO app_effects (id, t) VALUES ($1, $2)', [id, at])
      // A handler that fails after its effect: rolled back with its inbox row.
      if (random() < 0.02) throw new Error('not this time')
    },
  )

broker.checkHalf(paid, async ({ id }) => {
  const { rows } = await broker.store.transaction((tx) => tx.query('SELECT state FROM app_paid WHERE id = $1', [id]))
  // Asked long after any work has ended: what is not in the table never was.
  return rows[0]?.['state'] === 'commit' ? 'commit' : 'rollback'
})
await Promise.all([orders, later, paid].map(effectsOf))

const cancels: Promise<void>[] = []

/** One id of each kind. */
async function one(n: number): Promise<void> {
  const id = `o-${name}-${n}`
  await Promise.all([0, 1, 2].map(() => producer.send(orders, n, { id })))
  note(`sent ${id}`)
  const delayMs = 200 + Math.floor(random() * 3_000)
  const ref = { id: `s-${name}-${n}-${lifeText}-${Date.now() + delayMs}`, topic: 'later' }
  await producer.send(later, n, { id: ref.id, delayMs })
  note(`scheduled ${ref.id}`)
  if (n % 10 === 0) cancels.push(cancelled(ref, Math.floor(random() * (delayMs + 200))))
  if (n % 10 < 3) await half(`h-${name}-${n}-${lifeText}`, n)
}

async function cancelled(ref: { readonly id: string; readonly topic: string }, inMs: number): Promise<void> {
  await sleep(inMs)
  note(`cancel ${ref.id}`)
  note(`${await producer.cancel(ref)} ${ref.id}`)
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
  const last = Math.min(quota, next + 20)
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
await broker.close()
process.exit(0)
