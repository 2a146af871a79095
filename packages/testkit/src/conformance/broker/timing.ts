import assert from 'node:assert/strict'
import { broker, calls, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Delay, cancel and reschedule through the producer. */
export const timing: Chapter = {
  name: 'delay and cancel',
  layer: 'broker',
  scenarios: [
    {
      id: 'timing.rule-9-delay',
      says: 'rule 9: a delayed send is never early, and its receipt says when it is due',
      needs: ['delay of any message'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const from = stage.now()
        const receipt = await one.producer().send(orders, 'x', { delayMs: 500 })
        assert.ok((receipt.dueAt?.getTime() ?? 0) >= from + 500)
        // A send that took its time leaves none in which nothing may come.
        if (stage.now() + stage.quietMs < from + 490) await seen.noMore()
        await stage.pass(Math.max(0, 500 - stage.quietMs))
        await seen.reached(1)
        assert.ok(stage.now() - from >= 495, `it came after ${stage.now() - from} ms`)
      },
      refused: refusesDelay,
    },
    {
      id: 'timing.at-a-date',
      says: 'deliverAt is a date; one that has passed is now; both ways to say when are refused',
      needs: ['delay of any message'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 'past', { deliverAt: new Date(stage.now() - 5_000) })
        await seen.reached(1)
        await one.producer().send(orders, 'soon', { deliverAt: new Date(stage.now() + 200) })
        await stage.pass(200)
        await seen.reached(2)
        await refused(
          'invalid',
          () => one.producer().send(orders, 'x', { delayMs: 1, deliverAt: new Date() }),
          /delayMs/,
        )
      },
      refused: refusesDelay,
    },
    {
      id: 'timing.expiry-from-due',
      says: 'rule 8: expiry counts from the time at which a delayed message is due',
      needs: ['delay of any message'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 'x', { delayMs: 400, expiresInMs: 60_000 })
        await one.producer().send(orders, 'y', { delayMs: 400, expiresInMs: 300 + stage.patienceMs })
        await stage.pass(400)
        await seen.reached(2)
      },
      refused: refusesDelay,
    },
    {
      id: 'timing.rule-10-cancel',
      says: 'rule 10: what was cancelled in time is never delivered; another process may cancel by id and topic',
      needs: ['cancel'],
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const { id, topic } = await one.producer().send(orders, 'x', { delayMs: 1_500 })
        const other = await one.producer().send(orders, 'y', { delayMs: 1_500 })
        assert.equal(await two.producer().cancel({ id, topic }), 'cancelled')
        assert.equal(await one.producer().cancel(other), 'cancelled')
        await stage.pass(1_600)
        await seen.noMore()
        assert.equal(seen.all.length, 0)
      },
      refused: refusesCancel,
    },
    {
      id: 'timing.rule-10-too-late',
      says: 'rule 10: what was delivered is not called cancelled',
      needs: ['cancel'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const receipt = await one.producer().send(orders, 'x', { delayMs: 50 })
        await stage.pass(50)
        await seen.reached(1)
        assert.notEqual(await one.producer().cancel(receipt), 'cancelled')
      },
      refused: refusesCancel,
    },
    {
      id: 'timing.reschedule',
      says: 'a waiting message can be put off and brought forward',
      needs: ['cancel'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const far = await one.producer().send(orders, 'far', { delayMs: 3_600_000 })
        assert.equal(await one.producer().reschedule(far, { delayMs: 50 }), 'rescheduled')
        await stage.pass(60)
        await seen.reached(1)
      },
      refused: refusesCancel,
    },
    {
      id: 'timing.cancel-in-a-transaction',
      says: 'rule 10: a cancel in a transaction happens only if it commits',
      needs: ['cancel', 'transactional'],
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<string>(stage)
        const seen = calls<string>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        const kept = await one.producer().send(orders, 'kept', { delayMs: 300 })
        await assert.rejects(
          one.store.transaction(async (tx) => {
            await one.producer().cancel(kept, { tx })
            throw new Error('rolled back')
          }),
        )
        await stage.pass(300)
        await seen.reached(1)
      },
      refused: async (stage) => assert.ok(!stage.traits.cancel || !stage.traits.transactional),
    },
  ],
}

async function refusesDelay(stage: Parameters<typeof broker>[0]): Promise<void> {
  if (stage.harness.parts?.openKeeper !== undefined) return
  const one = await broker(stage)
  await refused('unsupported', () => one.producer().send(topicFor<string>(stage), 'x', { delayMs: 60_000 }), /store/)
}

async function refusesCancel(stage: Parameters<typeof broker>[0]): Promise<void> {
  if (stage.harness.parts?.openKeeper !== undefined) return
  const one = await broker(stage)
  await refused('unsupported', () => one.producer().cancel({ id: 'x', topic: topicFor(stage).name }), /store/)
}
