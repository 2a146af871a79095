// One process of the fault run on one SQLite file: sends, handles and relays until it is told to stop, or killed.
import { readdirSync, readFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, isMessagingError, topic } from '../../packages/posthorn/src/index.ts'
import { fileLedger } from '../../packages/testkit/src/ledger/file.ts'
import { fingerprint } from '../../packages/testkit/src/ledger/fingerprint.ts'
import { recordRejections } from '../../packages/testkit/src/ledger/ledger.ts'

interface Order {
  readonly n: number
  readonly by: string
}

const [file = '', folder = '', name = '', quotaText = '0', paceText = '0', frozenText = '0'] = process.argv.slice(2)
const quota = Number(quotaText)
const batchSize = 10

const orders = topic<Order>('orders', { groups: [{ name: 'billing', order: 'key' }] })
const relayed = topic<Order>('relayed', { groups: [{ name: 'audit', order: 'none' }] })

/** How far this member's former lives have come. */
function begun(): number {
  let count = 0
  for (const each of readdirSync(folder)) {
    if (!each.startsWith(`${name}-`)) continue
    const text = readFileSync(join(folder, each), 'utf8')
    for (const match of text.matchAll(/"id":"o-[a-z0-9]+-(\d+)","topic":"orders"/g))
      count = Math.max(count, Number(match[1]) + 1)
  }
  return count
}

/** A frozen process may have the lock of the file; whoever looks after a service starts it again. */
async function insisting<R>(start: () => Promise<R>): Promise<R> {
  for (const end = performance.now() + 30_000; ; ) {
    try {
      return await start()
    } catch (error) {
      if (!isMessagingError(error, 'unavailable') || performance.now() > end) throw error
    }
  }
}

let next = begun()
const ledger = fileLedger(folder, name, { durable: false })
recordRejections(ledger)
const broker = await insisting(() => connect(`sqlite:${file}?leaseMs=3000`))
const producer = broker.producer()
let stopping = false

async function send(n: number): Promise<void> {
  const id = `o-${name}-${n}`
  const key = `${name}-k${n % 5}`
  const kind = n % 10 === 0 ? 'tx' : n % 10 === 1 ? 'delayed' : 'plain'
  const body: Order = { n, by: name }
  const delayMs = kind === 'delayed' ? 400 : undefined
  await ledger.intent({
    id,
    topic: 'orders',
    key,
    // Between sends with and without a transaction or a delay no order is claimed.
    seq: kind === 'plain' ? n : undefined,
    // While the process is frozen it cannot keep any.
    deadlineMs: 10_000 + Number(frozenText),
    due: delayMs === undefined ? undefined : ledger.now() + delayMs,
    hash: fingerprint({ body: JSON.stringify(body), key, tag: undefined, headers: {} }),
    groups: ['billing'],
    letter: 'none',
  })
  try {
    if (kind === 'tx')
      await broker.store.transaction(async (tx) => {
        await tx.query('INSERT INTO app_orders (id) VALUES ($1)', [id])
        await producer.send(orders, body, { id, key, tx })
      })
    else await producer.send(orders, body, { id, key, ...(delayMs === undefined ? {} : { delayMs }) })
    ledger.outcome(id, 'ok')
  } catch (error) {
    ledger.outcome(id, isMessagingError(error) ? error.outcome : 'unknown', String(error))
  }
}

await insisting(() =>
  broker.consume(
    orders,
    { group: 'billing', order: 'key', concurrency: 16, guarantee: 'exactly-once-effects' },
    async ({ id, key, body, tx }) => {
      ledger.delivery({
        id,
        group: 'billing',
        topic: 'orders',
        hash: fingerprint({ body: JSON.stringify(body), key, tag: undefined, headers: {} }),
      })
      if (tx === undefined) throw new Error('no transaction')
      await tx.query('INSERT INTO app_effects (id, grp, t) VALUES ($1, $2, $3)', [id, 'billing', ledger.now()])
      if (body.n % 7 !== 0) return
      await ledger.intent({ id: `r-${id}`, topic: 'relayed', groups: ['audit'], letter: 'none' })
      // It goes with the transaction; whether that commits is not known here.
      ledger.outcome(`r-${id}`, 'unknown')
      await producer.send(relayed, body, { id: `r-${id}`, tx })
    },
  ),
)
await insisting(() =>
  broker.consume(relayed, { group: 'audit', concurrency: 8, guarantee: 'exactly-once-effects' }, async ({ id, tx }) => {
    ledger.delivery({ id, group: 'audit', topic: 'relayed' })
    if (tx === undefined) throw new Error('no transaction')
    await tx.query('INSERT INTO app_effects (id, grp, t) VALUES ($1, $2, $3)', [id, 'audit', ledger.now()])
  }),
)

process.on('SIGTERM', () => {
  stopping = true
})
// Whoever started this has gone.
process.on('disconnect', () => process.exit(1))
// What is killed writes no cache at its end.
flushCompileCache()
process.send?.('ready')
while (next < quota && !stopping) {
  const last = Math.min(quota, next + batchSize)
  const batch: Promise<void>[] = []
  for (; next < last; next++) batch.push(send(next))
  await Promise.all(batch)
  await sleep(Number(paceText))
}
process.send?.('sent')
while (!stopping) await sleep(50)
const from = ledger.now()
await broker.close()
await ledger.end({ closeMs: ledger.now() - from })
process.exit(0)
