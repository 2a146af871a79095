// Every basic promise in one run: `pnpm hello`, or BROKER_URL=amqp://localhost pnpm hello.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, exponential, retry, topic } from 'posthorn'

const folder = mkdtempSync(join(tmpdir(), 'posthorn-hello-'))
const url = process.env['BROKER_URL'] ?? `sqlite:${join(folder, 'hello.db')}`
const began = performance.now()
const say = (what: string): void => console.log(`${(performance.now() - began).toFixed(0).padStart(6)} ms  ${what}`)

// On a broker that cannot take a delayed message back, SQLite beside it holds the schedule.
const broker = await connect({
  url,
  store: process.env['BROKER_URL'] && `sqlite:${join(folder, 'store.db')}`,
  singleHost: true,
  log: false,
})
const run = Date.now().toString(36)
const greetings = topic<{ text: string }>(`hello.greetings.${run}`, { groups: ['readers'] })
const orders = topic<{ order: string; step: number }>(`hello.orders.${run}`, {
  key: (o) => o.order,
  groups: ['billing'],
})
const producer = broker.producer()
say(`connected to ${broker.name}`)

/** Resolves when `reached` is called for the `times`-th time. */
function after(times: number): { readonly reached: () => void; readonly all: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let left = times
  return { all: promise, reached: () => void (--left === 0 && resolve()) }
}

// 1. Send, consume, fail, retry, dead-letter.
const first = after(3)
const second = after(1)
broker.on('dead-letter', (letter) => {
  say(`dead letter: ${JSON.stringify(letter.body)} after ${letter.attempts} tries: ${letter.error}`)
  first.reached()
})
await broker.consume(
  greetings,
  { group: 'readers', use: [retry({ attempts: 3, backoff: exponential({ firstMs: 50, maxMs: 200 }) })] },
  async ({ body, attempt }) => {
    say(`got "${body.text}", attempt ${attempt}`)
    if (body.text === 'broken') throw new Error('cannot be read')
    if (body.text === 'shaky' && attempt < 2) throw new Error('once more, please')
    if (body.text === 'delayed') second.reached()
    else first.reached()
  },
)
for (const text of ['hello', 'shaky', 'broken']) {
  const { held } = await producer.send(greetings, { text })
  say(`sent "${text}", held by the ${held}`)
}
await first.all

// 2. Delay, cancel.
await producer.send(greetings, { text: 'delayed' }, { delayMs: 300 })
say('sent "delayed", due in 300 ms')
const never = await producer.send(greetings, { text: 'cancelled' }, { delayMs: 60_000 })
say(`a message due in a minute: ${await producer.cancel(never)}`)
await second.all

// 3. Order by key, keys beside each other.
const third = after(9)
const seen: Record<string, number[]> = {}
await broker.consume(orders, { group: 'billing', order: 'key' }, async ({ body, key = '' }) => {
  seen[key] = [...(seen[key] ?? []), body.step]
  third.reached()
})
await producer.sendBatch(
  orders,
  ['a', 'b', 'c'].flatMap((order) => [1, 2, 3].map((step) => ({ body: { order, step } }))),
)
await third.all
say(`in order by key: ${JSON.stringify(seen)}`)

const dead = broker.deadLetters(greetings, { group: 'readers' })
const { redriven } = await dead.redrive({ where: (letter) => letter.reason === 'attempts' })
say(`redriven: ${redriven}`)
await broker.close()
say('closed')
