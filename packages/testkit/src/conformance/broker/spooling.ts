import assert from 'node:assert/strict'
import { type Broker, MessagingError, type Topic } from '@posthorn/core'
import type { Dispatch } from '@posthorn/core/driver'
import { but } from '../../defects/place.ts'
import { broker, calls, refused, topicFor } from '../broker-stage.ts'
import { changedAdapter } from '../outcome.ts'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** What cannot be sent now, kept in the store of this transport. */
export const spooling: Chapter = {
  name: 'spool',
  layer: 'broker',
  scenarios: [
    {
      id: 'spool.order-of-a-key',
      says: 'what cannot be sent lies in the spool and is given in the order of its key when the broker is back; then the key goes to the broker again',
      needs: ['a keeper', 'a store'],
      run: async (stage) => {
        const { away, on } = cutOff(stage)
        const one = await broker(on)
        const orders = keyed(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        away.add('a1')
        for (const body of ['a1', 'a2', 'a3']) assert.equal(await holderOf(stage, one, orders, body), 'spool', body)
        assert.equal(await holderOf(stage, one, orders, 'b1'), 'broker', 'another key waits, too')
        away.clear()
        await seen.reached(4)
        assert.deepEqual(
          seen.bodies.filter((body) => body !== 'b1'),
          ['a1', 'a2', 'a3'],
        )
        await stage.until(
          'the key goes to the broker again',
          async () => (await holderOf(stage, one, orders, 'a4')) === 'broker',
        )
      },
      refused: refusesSpool,
    },
    {
      id: 'spool.outlives-its-process',
      says: 'what a process has spooled before it ended is given by the next, before what that one sends of the key',
      needs: ['a keeper', 'a store'],
      run: async (stage) => {
        const { away, on } = cutOff(stage)
        const orders = keyed(stage)
        away.add('a1')
        const before = await broker(on)
        for (const body of ['a1', 'a2']) assert.equal(await holderOf(stage, before, orders, body), 'spool', body)
        await before.close({ drainMs: 100 })
        const next = await broker(on)
        const seen = calls<string>(stage)
        await next.consume(orders, { group: 'g' }, seen.handler)
        assert.equal(await holderOf(stage, next, orders, 'a3'), 'spool', 'a3 went past what lies in the spool')
        away.clear()
        await seen.reached(3)
        assert.deepEqual(seen.bodies, ['a1', 'a2', 'a3'])
      },
      refused: refusesSpool,
    },
  ],
}

const keyed = (stage: Stage): Topic<string> =>
  topicFor<string>(stage, { key: (body) => body.slice(0, 1), groups: [{ name: 'g', order: 'key' }] })

/** The same stage, whose broker cannot be reached for these bodies. */
function cutOff(stage: Stage): { readonly away: Set<string>; readonly on: Stage } {
  const away = new Set<string>()
  const isAway = ({ body }: Dispatch): boolean => away.has(JSON.parse(Buffer.from(body).toString()))
  const error = new MessagingError('unavailable', 'the broker is away')
  const adapter = changedAdapter(stage.adapter, (plan) => ({
    ...plan,
    async connect(context) {
      const driver = await plan.connect(context)
      return but(driver, {
        send: async (messages, control) =>
          messages.some(isAway) ? messages.map(() => ({ ok: false, error })) : driver.send(messages, control),
      })
    },
  }))
  return { away, on: { ...stage, adapter } }
}

/** Sends by a producer with a spool and says who has the message. */
async function holderOf(stage: Stage, by: Broker, to: Topic<string>, body: string): Promise<string> {
  const sent = by.producer({ spool: true, sendTimeoutMs: 2_000 }).send(to, body)
  return (await stage.within(`the send of ${body}`, stage.patienceMs, sent)).held
}

async function refusesSpool(stage: Stage): Promise<void> {
  if (stage.harness.parts?.openKeeper !== undefined) return
  const one = await broker(stage)
  await refused('unsupported', () => one.producer({ spool: true }))
}
