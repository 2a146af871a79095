// A process of a service on a shared file: `member.ts <path> open|hold|send|eat`. It talks to its parent by messages.
import { connected, membership, message, never, texts, topicOf } from './stage.ts'

const [path = '', what = '', count = '1'] = process.argv.slice(2)
const topic = topicOf('orders', { groups: [{ name: 'g', order: 'key', filter: undefined }], keyed: true })
const driver = await connected({ path, leaseMs: 300 }, 20_000)
await driver.declare(topic, never)
process.on('disconnect', () => process.exit(1))

if (what === 'open') {
  process.send?.('open', () => process.exit(0))
} else if (what === 'hold') {
  // Takes, and settles when it is told to.
  const source = await driver.open(membership(topic, { order: 'key' }), never)
  const got = await source.receive(100, never)
  process.send?.(texts(got))
  process.on('message', async () => {
    const tokens = got.map(({ token }) => token)
    const extended = (await source.extend?.(tokens)) ?? []
    const settled = await source.settle(tokens.map((token) => ({ token, verdict: 'ack' })))
    process.send?.([...extended, ...settled].join(' '))
  })
  setInterval(() => {}, 1_000)
} else if (what === 'send') {
  for (let n = 0; n < Number(count); n++)
    await driver.send([message('orders', `${n}`, { key: `k${n % 3}`, headers: { at: `${Date.now()}` } })], {
      signal: never,
    })
  process.send?.('sent', () => process.exit(0))
}
