// A process that has closed its broker ends by itself, and waits for no timer of ours.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { ensure } from '../../../scripts/brokers/lifecycle.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthorn-ended-'))
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

const urls: Readonly<Record<string, () => Promise<string>>> = {
  sqlite: async () => `sqlite:${join(folder, 'app.db')}`,
  rabbitmq: () => ensure('rabbitmq'),
  'kafka by kafkajs': () => ensure('kafka'),
  'kafka by @platformatic/kafka': async () => `${await ensure('kafka')}?client=platformatic`,
}

/** Sends, handles, reads by broadcast, asks and answers; closes, and tells which timers are left when its sockets have gone, which wait for their peers. */
const program = `
import { connect, topic } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))}
const broker = await connect(process.env.URL, { namespace: process.env.NAMESPACE })
const orders = topic('orders', { groups: ['billing'] })
const prices = topic('prices', { groups: ['prices'] })
const handled = Promise.withResolvers()
await broker.consume(orders, { group: 'billing' }, async () => handled.resolve())
await broker.consume(orders, { mode: 'broadcast' }, async () => {})
await broker.respond(prices, { group: 'prices' }, async () => 7)
await broker.producer().send(orders, 1)
await broker.request(prices, 1, { timeoutMs: 20_000 })
await handled.promise
await broker.close()
const open = (kind) => process.getActiveResourcesInfo().filter((each) => each === kind)
do await new Promise((resolve) => setImmediate(resolve))
while (open('TCPSocketWrap').length > 0)
console.log(JSON.stringify(open('Timeout')))
`

test.each(Object.keys(urls))(
  'waits for nothing on %s',
  async (name) => {
    const url = (await urls[name]?.()) ?? ''
    const env = { ...process.env, URL: url, NAMESPACE: `ended${Date.now().toString(36)}` }
    const options = ['--conditions=posthorn:source', '--no-warnings', '--input-type=module', '-e', program]
    const { status, stdout, stderr } = spawnSync(process.execPath, options, { env, encoding: 'utf8', timeout: 60_000 })
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '[]\n', stderr: '' })
  },
  90_000,
)
