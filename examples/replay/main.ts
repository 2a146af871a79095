// Replay: a new report is to be made from all that has happened. It reads the history by itself; the group that bills hears nothing of it.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, topic } from 'posthorn'

const broker = await connect({
  url: process.env['BROKER_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'replay-')), 'app.db')}`,
  log: false,
})
// A queue forgets what was handled: there is nothing to replay, and Posthorn says so before the first call.
const replaying = broker.having('replay')
if (replaying === undefined) {
  console.log(`${broker.name} keeps no history of a queue: nothing to replay`)
  await broker.close()
  process.exit()
}

const sales = topic<{ item: string; cents: number }>(`sales.${Date.now().toString(36)}`, {
  key: (sale) => sale.item,
  groups: ['billing'],
})
const items = ['lamp', 'chair', 'table']
const count = 30

let billed = 0
const done = Promise.withResolvers<void>()
await replaying.consume(sales, { group: 'billing' }, async ({ replay }) => {
  if (replay) throw new Error('billing must not hear of a replay')
  if (++billed === count) done.resolve()
})
await replaying.producer().sendBatch(
  sales,
  Array.from({ length: count }, (_, at) => ({ body: { item: items[at % 3] ?? '', cents: 100 * (at + 1) } })),
)
await done.promise
console.log(`billed: ${billed}`)

// Weeks later: from the beginning to now, at a speed that hurts nobody, marked as a replay.
const report = new Map<string, number>()
const replay = await replaying.replay(sales, { from: 'earliest', ratePerSecond: 500 }, async ({ body, replay }) => {
  if (!replay) throw new Error('a replay is marked')
  report.set(body.item, (report.get(body.item) ?? 0) + body.cents)
})
const { handled } = await replay.done
console.log(`replayed: ${handled}`)
for (const item of items) console.log(`${item}: ${(report.get(item) ?? 0) / 100} Euro`)
console.log(`billed still: ${billed}`)
await broker.close()
