// `pnpm sample:faults [url]`: 10,000 orders, 20 kills; writes evidence/order-timeout-<broker>.json. ORDERS and KILLS say otherwise.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ordersUnderKills } from './run.ts'

const [brokerUrl] = process.argv.slice(2)
const result = await ordersUnderKills({
  brokerUrl,
  orders: Number(process.env['ORDERS'] ?? 10_000),
  kills: Number(process.env['KILLS'] ?? 20),
  timeoutMs: 20_000,
  patienceMs: 300_000,
})
const checkout = join(import.meta.dirname, '../../..')
const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).trim()
mkdirSync(join(checkout, 'evidence'), { recursive: true })
const file = join(checkout, 'evidence', `order-timeout-${result.broker}.json`)
const command = [
  'pnpm sample:faults',
  ...(brokerUrl === undefined ? [] : [`${new URL(brokerUrl).protocol}//...`]),
].join(' ')
writeFileSync(file, `${JSON.stringify({ commit, command, ...result }, undefined, 2)}\n`)
console.log(result)
process.exitCode = result.broken.length === 0 && result.deadLetters === 0 ? 0 : 1
