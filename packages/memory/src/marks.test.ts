// A suspect whose start alone cannot be noted: the broker does not answer, or it is no longer ours.
import { connectAdapter, topic } from '@posthorn/core'
import { type Dispatch, type Driver, newId, type Settled, type Source } from '@posthorn/core/driver'
import { changedAdapter, plainMessage } from '@posthorn/testkit'
import { expect, test } from 'vitest'
import { memory } from './index.ts'

const orders = topic<number>('orders')

/** A broker whose sources note starts as `mark` says; undefined: as they do. */
async function broker(mark: (token: unknown) => Settled | undefined) {
  let inner: Driver | undefined
  const changed = (source: Source): Source => {
    const gone = new Set<unknown>()
    const over: Partial<Source> = {
      async mark(token) {
        const answer = mark(token)
        if (answer === 'stale') gone.add(token)
        return answer ?? source.mark?.(token) ?? 'ok'
      },
      async settle(batch) {
        const answers = await source.settle(
          batch.map((each) => (gone.has(each.token) ? { token: each.token, verdict: 'ack' } : each)),
        )
        return batch.map(({ token }, i) => (gone.has(token) ? 'stale' : (answers[i] ?? 'unknown')))
      },
    }
    return Object.assign(Object.create(source), over)
  }
  const adapter = changedAdapter(memory(), (plan) => ({
    ...plan,
    async connect(context) {
      const driver = await plan.connect(context)
      inner = driver
      const open: Driver['open'] = async (...args) => changed(await driver.open(...args))
      return Object.assign(Object.create(driver), { open })
    },
  }))
  const one = await connectAdapter(adapter, { log: false })
  const seen: number[] = []
  const attempts: number[] = []
  await one.consume(orders, { group: 'g', concurrency: 1, window: 8 }, async ({ body, attempt }) => {
    seen.push(body)
    attempts.push(attempt)
  })
  const suspect = (n: number): Dispatch =>
    plainMessage({ id: newId(Date.now()), topic: 'orders', body: Buffer.from(JSON.stringify(n)), lone: 1 })
  const { signal } = new AbortController()
  const send = (from: number, count: number) =>
    inner?.send(
      Array.from({ length: count }, (_, i) => suspect(from + i)),
      { signal },
    )
  return { one, seen, attempts, send }
}

test('is tried again, and what could not be noted counts as no start', async () => {
  let asked = 0
  const { one, seen, attempts, send } = await broker(() => (++asked <= 2 ? 'unknown' : undefined))
  await send(1, 1)
  await expect.poll(() => seen).toEqual([1])
  expect(attempts).toEqual([1])
  await one.close()
})

test('leaves the hand when it is no longer ours: the window does not fill with such', async () => {
  let asked = 0
  const { one, seen, send } = await broker(() => (++asked <= 20 ? 'stale' : undefined))
  await send(1, 21)
  await expect.poll(() => seen).toEqual([21])
  await one.close()
})
