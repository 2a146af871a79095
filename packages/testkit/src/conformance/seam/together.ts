import assert from 'node:assert/strict'
import { isMessagingError } from '@posthorn/core/driver'
import { inTimeMs } from '../early.ts'
import type { Chapter } from '../scenario.ts'
import { bodies } from '../stage.ts'

/** Atomic batches, effects, transactions. */
export const together: Chapter = {
  name: 'together',
  layer: 'seam',
  scenarios: [
    {
      id: 'together.all',
      says: 'an atomic batch over two topics is there whole',
      needs: ['atomic'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const second = stage.topic()
        await driver.declare(second, stage.signal)
        await stage.send(driver, [...stage.messages(topic, 3), ...stage.messages(second, 2)], { atomic: true })
        assert.equal((await (await stage.open(driver, topic)).eat(3)).length, 3)
        assert.equal((await (await stage.open(driver, second)).eat(2)).length, 2)
      },
      refused: async (stage) => assert.equal(stage.traits.atomic, false),
    },
    {
      id: 'together.none',
      says: 'an atomic batch of which one message cannot be held leaves nothing behind',
      needs: ['atomic'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const bad = stage.message(topic, { body: Buffer.alloc(stage.traits.maxBytes + 1) })
        const results = await driver
          .send([...stage.messages(topic, 2), bad, ...stage.messages(topic, 1)], { signal: stage.signal, atomic: true })
          .catch((error: unknown) => {
            assert.ok(isMessagingError(error))
            return []
          })
        assert.ok(results.every(({ ok }) => !ok))
        await member.nothing()
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('after') })])
        assert.equal(bodies(await member.eat(1)), 'after')
      },
      refused: async (stage) => assert.equal(stage.traits.atomic, false),
    },
    {
      id: 'together.effects',
      says: 'sends and settlements of one atomic call happen together',
      needs: ['effects'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const out = stage.topic()
        await driver.declare(out, stage.signal)
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const [held] = await member.hold(1)
        assert.ok(member.atomic !== undefined && held !== undefined, 'a source with effects has atomic()')
        await member.atomic(stage.messages(out, 2), [{ token: held.token, verdict: 'ack' }], stage.signal)
        await member.close()
        await (await stage.open(driver, topic)).nothing()
        assert.equal((await (await stage.open(driver, out)).eat(2)).length, 2)
      },
      refused: async (stage) => {
        const { driver, topic } = await stage.declared()
        assert.equal((await stage.open(driver, topic)).atomic, undefined)
      },
    },
    {
      id: 'together.effects-of-a-loser',
      says: 'effects with a delivery that is no longer ours are refused, and nothing of them is seen',
      needs: ['effects'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const out = stage.topic()
        await driver.declare(out, stage.signal)
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const [held] = await member.hold(1)
        assert.ok(member.atomic !== undefined && held !== undefined)
        await member.ack([held])
        await assert.rejects(
          member.atomic(stage.messages(out, 1), [{ token: held.token, verdict: 'ack' }], stage.signal),
          (error) => isMessagingError(error),
        )
        await (await stage.open(driver, out)).nothing()
      },
      refused: async (stage) => assert.equal(stage.traits.effects, false),
    },
    {
      id: 'together.transaction-commits',
      says: 'what is sent in a transaction is seen when it commits, and not before',
      needs: ['transactional'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        assert.ok(driver.store !== undefined, 'a driver that takes a tx has a store')
        await driver.store.transaction(async (tx) => {
          await stage.send(driver, stage.messages(topic, 2), { tx })
          await member.nothing()
        })
        assert.equal((await member.eat(2)).length, 2)
      },
      refused: async (stage) => assert.equal(stage.traits.transactional, false),
    },
    {
      id: 'together.declare-in-a-transaction',
      says: 'a topic that is first declared within a transaction does not wait for its end; what was sent to it is there',
      needs: ['transactional'],
      run: async (stage) => {
        const driver = await stage.connect()
        const topic = stage.topic()
        await driver.store?.transaction(async (tx) => {
          await stage.within('declare', stage.patienceMs, driver.declare(topic, stage.signal, tx))
          await stage.send(driver, stage.messages(topic, 2), { tx })
        })
        await driver.declare(topic, stage.signal)
        assert.equal((await (await stage.open(driver, topic)).eat(2)).length, 2)
      },
      refused: async (stage) => assert.equal(stage.traits.transactional, false),
    },
    {
      id: 'together.transaction-rolls-back',
      says: 'what is sent in a transaction that throws is never seen',
      needs: ['transactional'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const error = new Error('rolled back')
        await assert.rejects(
          async () =>
            driver.store?.transaction(async (tx) => {
              await stage.send(driver, stage.messages(topic, 2), { tx })
              throw error
            }),
          error,
        )
        await member.nothing()
      },
      refused: async (stage) => assert.equal(stage.traits.transactional, false),
    },
    {
      id: 'together.cancel-rolls-back',
      says: 'a cancel in a transaction that rolls back did not happen; in one that commits it did',
      needs: ['transactional', 'cancel'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const due = stage.now() + inTimeMs
        const [kept, gone] = stage.messages(topic, 2, () => ({ notBefore: due }))
        assert.ok(kept !== undefined && gone !== undefined)
        await stage.send(driver, [kept, gone])
        await assert.rejects(async () =>
          driver.store?.transaction(async (tx) => {
            await driver.cancel?.(kept.id, topic.name, tx)
            throw new Error('rolled back')
          }),
        )
        await driver.store?.transaction(async (tx) => {
          assert.equal(await driver.cancel?.(gone.id, topic.name, tx), 'cancelled')
        })
        await stage.pass(Math.max(0, due - stage.now()) + 100)
        const [got] = await member.eat(1)
        assert.equal(got?.id, kept.id)
        await member.nothing()
      },
      refused: async (stage) => assert.ok(!stage.traits.transactional || !stage.traits.cancel),
    },
  ],
}
