// Request and reply: ask over the broker and get the answer, or an error, or a deadline. Several price services share the work.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, isMessagingError, topic } from 'posthorn'

const broker = await connect({
  url: process.env['BROKER_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'request-')), 'app.db')}`,
  log: false,
})
const prices = topic<{ item: string }>(`prices.${Date.now().toString(36)}`, { groups: ['price-service'] })
const list: Readonly<Record<string, number>> = { lamp: 4_900, chair: 12_000 }

for (const _service of [1, 2])
  await broker.respond(prices, { group: 'price-service' }, async ({ body }) => {
    const cents = list[body.item]
    if (cents === undefined) throw new Error(`we do not sell ${body.item}`)
    return { cents }
  })

// 1. Answers, asked side by side.
const answers = await Promise.all(
  Object.keys(list).map(async (item) => {
    const { cents } = await broker.request<{ item: string }, { cents: number }>(prices, { item }, { timeoutMs: 10_000 })
    return `${item}: ${cents / 100} Euro`
  }),
)
for (const answer of answers) console.log(answer)

// 2. The other side's error comes back as an error.
try {
  await broker.request(prices, { item: 'moon' }, { timeoutMs: 10_000 })
} catch (error) {
  if (!isMessagingError(error, 'remote')) throw error
  console.log(`remote error: ${error.message}`)
}

// 3. Nobody answers: the deadline does.
const silent = topic<string>(`silent.${Date.now().toString(36)}`, { groups: ['nobody'] })
try {
  await broker.request(silent, 'hello?', { timeoutMs: 1_000 })
} catch (error) {
  if (!isMessagingError(error, 'timeout')) throw error
  console.log('no answer within the deadline')
}
await broker.close()
