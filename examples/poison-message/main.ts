// Order by key with a poison message: one order's second step can never be handled. It is put aside with its cause after three tries,
// its order goes on (onFailure 'skip'), and the other orders never noticed.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, fixed, retry, topic } from 'posthorn'

const broker = await connect({
  url: process.env['BROKER_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'poison-')), 'app.db')}`,
  log: false,
})
const steps = topic<{ order: string; step: number }>(`orders.steps.${Date.now().toString(36)}`, {
  key: (each) => each.order,
  groups: [{ name: 'billing', order: 'key' }],
})
const orders = ['a', 'b', 'c']
const handled: Record<string, number[]> = {}
let mended = false
let left = orders.length * 4
const first = Promise.withResolvers<void>()
const last = Promise.withResolvers<void>()
const settled = (): void => {
  if (--left === 0) first.resolve()
}

broker.on('dead-letter', ({ body, attempts, error }) => {
  console.log(`put aside after ${attempts} tries: ${JSON.stringify(body)}: ${error}`)
  settled()
})
await broker.consume(
  steps,
  { group: 'billing', order: 'key', onFailure: 'skip', use: [retry({ attempts: 3, backoff: fixed(20) })] },
  async ({ body: { order, step } }) => {
    if (order === 'b' && step === 2 && !mended) throw new Error('cannot be billed')
    handled[order] = [...(handled[order] ?? []), step]
    if (mended) last.resolve()
    else settled()
  },
)
await broker.producer().sendBatch(
  steps,
  [1, 2, 3, 4].flatMap((step) => orders.map((order) => ({ body: { order, step } }))),
)
await first.promise
for (const order of orders) console.log(`order ${order}: steps ${handled[order]?.join(', ')}`)

// The cause is mended: the letter is read and driven again, to this group alone.
mended = true
const dead = broker.deadLetters(steps, { group: 'billing' })
for await (const letter of dead.list()) console.log(`letter: ${letter.reason}, ${JSON.stringify(letter.body)}`)
const { redriven } = await dead.redrive()
await last.promise
console.log(`redriven: ${redriven}; order b: steps ${handled['b']?.join(', ')}`)
await broker.close()
