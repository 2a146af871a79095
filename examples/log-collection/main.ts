// Log collection: the request must not wait for its log line, nor fail with it. `post` answers nothing and never throws; it counts.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ack, connect, topic } from 'posthorn'

const broker = await connect({
  url: process.env['BROKER_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'logs-')), 'logs.db')}`,
  log: false,
})
const lines = topic<{ at: number; level: 'info' | 'warn'; text: string }>(`logs.${Date.now().toString(36)}`, {
  groups: ['archive'],
})
const count = 2_000

// The collector takes them by the hundred, as a bulk insert would like them.
const levels = { info: 0, warn: 0 }
let batches = 0
const done = Promise.withResolvers<void>()
await broker.consume(lines, { group: 'archive', batch: { size: 100, waitMs: 50 } }, async (deliveries) => {
  batches++
  for (const { body } of deliveries) levels[body.level]++
  if (levels.info + levels.warn >= count) done.resolve()
  return ack()
})

// The application: one line per request, one-way.
const producer = broker.producer()
const began = performance.now()
for (let request = 1; request <= count; request++) {
  const level = request % 10 === 0 ? 'warn' : 'info'
  producer.post(lines, { at: Date.now(), level, text: `request ${request}` })
}
console.log(`${count} lines posted in ${(performance.now() - began).toFixed(0)} ms`)
await producer.flush()
const { posted, dropped } = producer.stats()
console.log(`the producer counts ${posted} posted, ${dropped} dropped`)

await done.promise
console.log(`collected: ${levels.info} info, ${levels.warn} warn`)
console.log(`in fewer than ${count} handler calls: ${batches < count}`)
await broker.close()
