import { expect, it } from 'vitest'
import { sourcesOnly } from '../../test/sending-rig.ts'
import { connectAdapter } from '../broker/connect.ts'
import type { Arrival } from '../driver/envelope.ts'
import type { Settled, Settlement, Source } from '../driver/seam.ts'
import { topic } from '../topic.ts'

const arrival = (n: number, key: string | undefined): Arrival => ({
  id: `message-${n}`,
  topic: 'orders',
  key,
  tag: undefined,
  headers: {},
  body: Buffer.from(String(n)),
  contentType: 'application/json',
  sentAt: undefined,
  expiresAt: undefined,
  priority: undefined,
  version: undefined,
  generation: 0,
  failures: 0,
  history: [],
  lone: 0,
  replyTo: undefined,
  correlationId: undefined,
  token: n,
  deliveryCount: 1,
  position: undefined,
  fence: undefined,
  lost: undefined,
  foreign: false,
})

/** A broker that has these messages and answers settlements when the test says so. */
function slow(keys: readonly (string | undefined)[]) {
  const asked: { readonly batch: readonly Settlement[]; readonly answer: (settled: Settled) => void }[] = []
  let given = false
  const source: Source = {
    receive: (_, signal) => {
      if (!given) {
        given = true
        return Promise.resolve(keys.map((key, n) => arrival(n, key)))
      }
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve([]), { once: true }))
    },
    settle: (batch) =>
      new Promise((resolve) => asked.push({ batch, answer: (settled) => resolve(batch.map(() => settled)) })),
    close: async () => {},
  }
  return { adapter: sourcesOnly('slow', async () => source), asked }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function started(keys: readonly (string | undefined)[]) {
  const { adapter, asked } = slow(keys)
  const broker = await connectAdapter(adapter, { log: false })
  const handled: unknown[] = []
  const orders = topic('orders', { key: () => undefined })
  const consumer = await broker.consume(orders, { group: 'billing', concurrency: 1 }, async ({ body }) => {
    handled.push(body)
  })
  await turn()
  return { broker, consumer, handled, asked }
}

it('a slot is free for the next message when its handler has ended, not when the broker has answered', async () => {
  const { broker, consumer, handled, asked } = await started([undefined, undefined, undefined])
  expect(handled).toEqual([0, 1, 2])
  expect(asked.map(({ batch }) => batch.length)).toEqual([3])
  expect(consumer.stats()).toEqual({ handled: 0, failed: 0, inFlight: 3 })
  const stopped = consumer.stop()
  await turn()
  asked[0]?.answer('ok')
  expect(await stopped).toEqual({ handled: 3, givenBack: 0 })
  await broker.close()
})

it('the next message of a key waits for the answer: other keys do not', async () => {
  const { broker, consumer, handled, asked } = await started(['a', 'a', 'b'])
  expect(handled).toEqual([0, 2])
  asked[0]?.answer('ok')
  await turn()
  await turn()
  expect(handled).toEqual([0, 2, 1])
  asked[1]?.answer('ok')
  expect(await consumer.stop()).toEqual({ handled: 3, givenBack: 0 })
  await broker.close()
})

it('what came behind a message whose acknowledgement did not hold goes back unhandled', async () => {
  const { broker, consumer, handled, asked } = await started(['a', 'a'])
  expect(handled).toEqual([0])
  asked[0]?.answer('stale')
  await turn()
  await turn()
  expect(handled).toEqual([0])
  expect(asked[1]?.batch.map(({ token, verdict }) => [token, verdict])).toEqual([[1, 'nack']])
  asked[1]?.answer('ok')
  await consumer.stop()
  await broker.close()
})
