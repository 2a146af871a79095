import assert from 'node:assert/strict'
import type { MessagingError } from '@posthorn/core'
import { broker, calls, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** Faults of the network and of the broker: what was called sent is handled, and everything goes on by itself. */
export const surviving: Chapter = {
  name: 'faults',
  layer: 'broker',
  scenarios: [
    {
      id: 'surviving.cut',
      says: 'connections that are cut while messages are sent and handled come back by themselves; nothing that was sent is lost',
      needs: ['a cut'],
      run: (stage) =>
        throughTrouble(stage, async (trouble) => {
          for (let n = 0; n < 3; n++) {
            await new Promise((resolve) => setTimeout(resolve, 150))
            await trouble.cut?.()
          }
        }),
    },
    {
      id: 'surviving.kill',
      says: 'a broker that is killed and started again loses nothing that was called sent',
      needs: ['a kill'],
      run: (stage) =>
        throughTrouble(stage, async (trouble) => {
          // RabbitMQ 4 forgets a quorum queue that is younger than a few seconds when it is killed: it comes back without a leader.
          await new Promise((resolve) => setTimeout(resolve, 4_000))
          const start = await trouble.kill?.()
          await start?.()
        }),
    },
    {
      id: 'surviving.freeze',
      says: 'a broker that stands still for a while is waited for or left, and nothing that was called sent is lost',
      needs: ['a freeze'],
      run: (stage) =>
        throughTrouble(stage, async (trouble) => {
          const thaw = await trouble.freeze?.()
          await new Promise((resolve) => setTimeout(resolve, 3_000))
          await thaw?.()
        }),
    },
    {
      id: 'surviving.rule-3-deadline',
      says: 'rule 3: a send into a black hole rejects at its deadline as timeout',
      needs: ['a black hole'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const producer = one.producer({ sendTimeoutMs: 1_500 })
        await producer.send(orders, 1)
        const open = await stage.harness.faults?.blackHole?.()
        const from = performance.now()
        const error = await stage.within(
          'the send',
          5_000,
          producer.send(orders, 2).then(
            () => undefined,
            (thrown: MessagingError) => thrown,
          ),
        )
        const tookMs = performance.now() - from
        await open?.()
        assert.ok(tookMs >= 1_490, `it gave up after ${tookMs} ms`)
        assert.equal(error?.code, 'timeout')
        assert.ok(error?.outcome === 'unknown' || error?.outcome === 'failed')
        await stage.until('sends flow again', () =>
          producer.send(orders, 3).then(
            () => true,
            () => false,
          ),
        )
      },
    },
  ],
}

/** Sends and handles all the while, then counts: acknowledged and lost must be none, never sent but delivered none. */
async function throughTrouble(
  stage: Stage,
  cause: (faults: NonNullable<Stage['harness']['faults']>) => Promise<void>,
): Promise<void> {
  const [sender, reader] = [await broker(stage), await broker(stage)]
  const orders = topicFor<number>(stage)
  const seen = calls<number>(stage)
  await reader.consume(orders, { group: 'g' }, seen.handler)
  const producer = sender.producer()
  const sent = new Set<number>()
  const tried = new Set<number>()
  let over = false
  const sending = (async () => {
    for (let n = 0; !over; n++) {
      tried.add(n)
      void producer.send(orders, n).then(
        () => sent.add(n),
        () => {},
      )
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  })()
  await stage.until('the first are handled', () => seen.all.length > 10)
  await cause(stage.harness.faults ?? {})
  const before = sent.size
  await stage.until('sends flow again', () => sent.size > before + 20)
  over = true
  await sending
  await producer.flush()
  await stage.until('everything that was sent is handled', () => {
    const handled = new Set(seen.bodies)
    return [...sent].every((n) => handled.has(n))
  })
  for (const body of seen.bodies) assert.ok(tried.has(body), `${body} was never sent`)
}
