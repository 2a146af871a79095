// Half message: the event about an outside call is held until the call has ended. It goes out if the call succeeded, and not if it failed.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, topic } from 'posthorn'

const store = `sqlite:${join(mkdtempSync(join(tmpdir(), 'half-')), 'app.db')}`
const broker = await connect({ url: process.env['BROKER_URL'] ?? store, store, singleHost: true, log: false })
const paid = topic<{ orderId: string }>(`orders.paid.${Date.now().toString(36)}`, { groups: ['shipping'] })
const producer = broker.producer()

// The outside service: in no transaction of ours. It takes the money of order 1 and refuses order 2.
const book = new Map<string, string>()
const charge = async (orderId: string): Promise<string> => {
  if (orderId === '2') throw new Error('the card was refused')
  book.set(orderId, `receipt-${orderId}`)
  return `receipt-${orderId}`
}

// At start, wherever half messages are sent: it answers for a sender that died during its call.
broker.checkHalf(paid, async ({ body }) => (book.has(body.orderId) ? 'commit' : 'rollback'))

const shipped: string[] = []
const done = Promise.withResolvers<void>()
await broker.consume(paid, { group: 'shipping' }, async ({ body }) => {
  console.log(`shipping order ${body.orderId}`)
  if (shipped.push(body.orderId) === 2) done.resolve()
})

for (const orderId of ['1', '2', '3'])
  try {
    const { result } = await producer.sendHalf(paid, { orderId }, async () => {
      const receipt = await charge(orderId)
      console.log(`order ${orderId}: ${receipt}, not yet heard of: ${!shipped.includes(orderId)}`)
      return receipt
    })
    console.log(`order ${orderId} is paid: ${result}`)
  } catch (error) {
    console.log(`order ${orderId} is not paid: ${(error as Error).message}`)
  }
await done.promise
console.log(`shipped: ${shipped.toSorted().join(', ')}`)
await broker.close()
