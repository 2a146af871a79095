// One process of a fault run over a network broker: sends, or handles for one group, until it is told to stop, or killed.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, fixed, isMessagingError, reject, retry } from '../../packages/posthorn/src/index.ts'
import { fileLedger } from '../../packages/testkit/src/ledger/file.ts'
import { fingerprint } from '../../packages/testkit/src/ledger/fingerprint.ts'
import { recordRejections } from '../../packages/testkit/src/ledger/ledger.ts'
import { type WorkBody, work } from './service-work.ts'

/** What a member is given. */
export interface MemberOrders {
  /** A URL, or a configuration as `connect` takes it. */
  readonly url: string
  readonly namespace: string
  readonly folder: string
  readonly name: string
  readonly does: 'send' | 'billing' | 'audit'
  /** Of a sender: what it sends at least in all its lives; it goes on until it is told to finish. */
  readonly quota: number
  /** Of a sender: between two batches, until it is told to finish. */
  readonly paceMs: number
  /** Whether some are delayed. */
  readonly delays: boolean
  readonly sendTimeoutMs?: number | undefined
  /** How often it tells what it has done. */
  readonly tellMs: number
}

/** What a member is told. */
export type Word =
  /** Sends the rest of the quota as fast as it goes. */
  | { readonly say: 'finish' }
  | { readonly say: 'pause' }
  | { readonly say: 'resume' }
  /** Kills itself (SIGKILL) in the next handler. */
  | { readonly say: 'die' }
  /** The next handler takes so long. */
  | { readonly say: 'hold'; readonly ms: number }
  /** Nothing runs for so long: no timer, no socket. */
  | { readonly say: 'block'; readonly ms: number }

/** What a member says, now and then and at its first words. */
export interface Progress {
  /** Sends that were acknowledged, or effects. */
  readonly done: number
  /** All of the quota was tried, and it was told to finish. */
  readonly sent: boolean
  /** A sender was told to pause, and nothing of it is under way. */
  readonly rests: boolean
}

const batch = 20
const keys = 10
const delayMs = 700

const orders = JSON.parse(process.argv[2] ?? '{}') as MemberOrders
const { name, does, namespace, folder, quota, paceMs, delays } = orders

const ledger = fileLedger(folder, name, { durable: false })
recordRejections(ledger)
let stopping = false
let finishing = false
let paused = false
let rests = false
let dying = false
let holdMs = 0
let done = 0
let sent = false
process.on('SIGTERM', () => {
  stopping = true
})
// Whoever started this has gone.
process.on('disconnect', () => process.exit(1))
process.on('message', (word: Word) => {
  if (word.say === 'finish') finishing = true
  else if (word.say === 'pause') paused = true
  else if (word.say === 'resume') paused = false
  else if (word.say === 'die') dying = true
  else if (word.say === 'hold') holdMs = word.ms
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, word.ms)
})
/** Who started this may be gone: then `disconnect` ends it. */
const tell = (): void => void process.send?.({ done, sent, rests } satisfies Progress, undefined, undefined, () => {})
setInterval(tell, orders.tellMs).unref()

const hashOf = (body: WorkBody, key: string | undefined): string =>
  fingerprint({ body: JSON.stringify(body), key, tag: undefined, headers: {} })

/** How far this member's former lives have come. */
function begun(): number {
  let next = 0
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(`${name}-`)) continue
    for (const match of readFileSync(join(folder, file), 'utf8').matchAll(
      /"e":"intent","t":[\d.]+,"id":"[^"]*-(\d+)"/g,
    ))
      next = Math.max(next, Number(match[1]) + 1)
  }
  return next
}

/** The broker may be away just now. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (stopping || !isMessagingError(error) || !error.retryable) throw error
      await sleep(100)
    }
  }
}

const broker = await patiently(() => connect(orders.url, { namespace, log: false }))
if (does === 'send') await send()
else await handle(does)
const from = ledger.now()
await broker.close()
await ledger.end({ closeMs: ledger.now() - from })
process.exit(0)

async function send(): Promise<void> {
  const producer = broker.producer({ sendTimeoutMs: orders.sendTimeoutMs })
  const one = async (n: number): Promise<void> => {
    const id = `${name}-${n}`
    const key = `${name}-k${n % keys}`
    const body: WorkBody = { n, course: n % 40 === 7 ? 'fails once' : n % 200 === 13 ? 'rejected' : 'plain' }
    const late = delays && n % 20 === 3
    await ledger.intent({
      id,
      topic: 'work',
      key,
      // Between sends with and without a delay no order is claimed.
      seq: late ? undefined : n,
      due: late ? ledger.now() + delayMs : undefined,
      hash: hashOf(body, key),
      groups: ['billing', 'audit'],
      letter: body.course === 'rejected' ? 'rejected' : 'none',
    })
    try {
      await producer.send(work, body, { id, key, ...(late ? { delayMs } : {}) })
      ledger.outcome(id, 'ok')
      done++
    } catch (error) {
      ledger.outcome(id, isMessagingError(error) ? error.outcome : 'unknown', String(error))
    }
  }
  tell()
  for (let next = begun(); !(finishing && next >= quota) && !stopping; ) {
    rests = paused
    if (paused) {
      await sleep(20)
      continue
    }
    const last = finishing ? Math.min(quota, next + batch) : next + batch
    const sends: Promise<void>[] = []
    for (; next < last; next++) sends.push(one(next))
    await Promise.all(sends)
    if (!finishing) await sleep(paceMs)
  }
  sent = true
  tell()
  while (!stopping) await sleep(50)
}

async function handle(group: 'billing' | 'audit'): Promise<void> {
  const failedOnce = new Set<string>()
  const consuming = (): Promise<unknown> =>
    broker.consume(
      work,
      {
        group,
        order: group === 'billing' ? 'key' : 'none',
        concurrency: 16,
        window: 64,
        use: [retry({ attempts: 8, backoff: fixed(50) })],
      },
      async ({ id, key, body, topic: on }) => {
        ledger.delivery({ id, group, topic: on, hash: hashOf(body, key) })
        if (dying) process.kill(process.pid, 'SIGKILL')
        if (holdMs > 0) {
          const ms = holdMs
          holdMs = 0
          await sleep(ms)
        }
        // Of different length, so that handlers overlap and end out of order.
        await sleep(body.n % 4)
        if (body.course === 'rejected') {
          done++
          return reject('the run rejects it')
        }
        if (body.course === 'fails once' && !failedOnce.has(id)) {
          failedOnce.add(id)
          throw new Error('the run lets it fail once')
        }
        ledger.effect(id, group)
        done++
        return undefined
      },
    )
  await patiently(consuming)
  tell()
  while (!stopping) await sleep(50)
}
