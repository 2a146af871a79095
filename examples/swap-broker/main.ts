// Swapping the broker: the application below does not know where its messages lie. The line that names it is configuration, and
// `explain` tells how each promise is kept there: by the broker itself, by a store, or not at all.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Broker, connect, topic } from 'posthorn'

const store = `sqlite:${join(mkdtempSync(join(tmpdir(), 'swap-')), 'store.db')}`
// Each by the same code: the file, and what BROKER_URL names (amqp://localhost, kafka://localhost:9092).
const urls = [store, process.env['BROKER_URL']].filter((url) => url !== undefined)
const run = Date.now().toString(36)

/** The application: three orders, two steps each, one delayed reminder. Answers with what was handled, in a stable form. */
async function application(broker: Broker): Promise<string> {
  const steps = topic<{ order: string; step: string }>(`swap.${run}`, { key: (each) => each.order, groups: ['all'] })
  const handled: Record<string, string[]> = {}
  let left = 7
  const done = Promise.withResolvers<void>()
  await broker.consume(steps, { group: 'all', order: 'key' }, async ({ body: { order, step } }) => {
    handled[order] = [...(handled[order] ?? []), step]
    if (--left === 0) done.resolve()
  })
  const producer = broker.producer()
  await producer.send(steps, { order: 'a', step: 'reminded' }, { delayMs: 500 })
  for (const order of ['a', 'b', 'c'])
    for (const step of ['placed', 'paid']) await producer.send(steps, { order, step })
  await done.promise
  const explained = await broker.explain(steps, { group: 'all', order: 'key' })
  const ways = explained.promises.map(({ promise, how }) => `${promise}: ${how}`)
  console.log(`${broker.name}\n  ${ways.join('\n  ')}`)
  return JSON.stringify(Object.entries(handled).toSorted())
}

const outcomes: string[] = []
for (const url of urls) {
  const broker = await connect({ url, store, singleHost: true, log: false })
  outcomes.push(await application(broker))
  await broker.close()
}
for (const outcome of outcomes) console.log(outcome)
console.log(`same outcome on ${outcomes.length}: ${new Set(outcomes).size === 1}`)
