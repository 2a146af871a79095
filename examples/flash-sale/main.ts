// Flash sale: a thousand customers in one second, a cashier who manages fifty. The queue takes the peak; rateLimit lets it out evenly.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, rateLimit, topic } from 'posthorn'

const broker = await connect({
  url: process.env['BROKER_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'flash-sale-')), 'sale.db')}`,
  log: false,
})
const wishes = topic<{ customer: number }>(`sale.wishes.${Date.now().toString(36)}`, { groups: ['cashier'] })
const customers = 200
const perSecond = 100

// 1. The peak: everybody at once. Each send resolves when the broker has it, long before the cashier does.
const began = performance.now()
const since = (): string => `${((performance.now() - began) / 1_000).toFixed(1)} s`
await broker.producer().sendBatch(
  wishes,
  Array.from({ length: customers }, (_, at) => ({ body: { customer: at + 1 } })),
)
console.log(`${since()}  ${customers} wishes taken`)

// 2. The cashier, shielded: never more than so many a second, whatever waits.
let served = 0
const done = Promise.withResolvers<void>()
await broker.consume(wishes, { group: 'cashier', use: [rateLimit({ perSecond, burst: 10 })] }, async ({ body }) => {
  served++
  if (served % 50 === 0) console.log(`${since()}  ${served} served, the last was customer ${body.customer}`)
  if (served === customers) done.resolve()
})
await done.promise

console.log(`all served in ${since()}, at most ${perSecond} a second`)
await broker.close()
