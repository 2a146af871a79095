import assert from 'node:assert/strict'
import { isMessagingError } from '@posthorn/core/driver'
import { nothingBefore } from '../early.ts'
import type { Chapter } from '../scenario.ts'
import { bodies } from '../stage.ts'

/** What `Source.settle` promises. */
export const settle: Chapter = {
  name: 'settle',
  layer: 'seam',
  scenarios: [
    {
      id: 'settle.ack-is-final',
      says: 'what was acknowledged does not come again, also to a later member',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 5))
        const member = await stage.open(driver, topic)
        await member.ack(await member.hold(5))
        await member.close()
        await (await stage.open(driver, topic)).nothing()
      },
    },
    {
      id: 'settle.unsettled-comes-back',
      says: 'what a member received and did not settle comes again when it has gone',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 5))
        const member = await stage.open(driver, topic)
        const held = await member.hold(5)
        await member.close()
        const again = await (await stage.open(driver, topic)).eat(5)
        assert.deepEqual(again.map(({ id }) => id).sort(), held.map(({ id }) => id).sort())
      },
    },
    {
      id: 'settle.out-of-order',
      says: 'deliveries may be settled in any order; the unsettled ones come again and the first, which was settled, does not',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 5, () => ({ key: 'k' })),
        )
        const member = await stage.open(driver, topic)
        const held = await member.hold(5)
        for (const n of [4, 2, 0]) await member.ack(held.slice(n, n + 1))
        await member.close()
        const again = bodies(await (await stage.open(driver, topic)).eat(2)).split(' ')
        assert.ok(again.includes('1'), `1 was lost: ${again}`)
        assert.ok(!again.includes('0'), '0 came again though it was settled')
      },
    },
    {
      id: 'settle.gap-is-kept',
      says: 'one unsettled delivery behind many settled ones is not lost',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 30, () => ({ key: 'k' })),
        )
        const member = await stage.open(driver, topic)
        const held = await member.hold(30)
        await member.ack(held.filter(({ body }) => Buffer.from(body).toString() !== '11'))
        await member.close()
        const [again] = await (await stage.open(driver, topic)).eat(1)
        assert.equal(again?.id, held[11]?.id)
      },
    },
    {
      id: 'settle.twice',
      says: 'settling again answers stale and harms nothing',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const [held] = await member.hold(1)
        assert.ok(held !== undefined)
        await member.ack([held])
        assert.deepEqual(await member.settle([{ token: held.token, verdict: 'ack' }]), ['stale'])
        assert.deepEqual(await member.settle([{ token: held.token, verdict: 'nack' }]), ['stale'])
        await stage.send(driver, stage.messages(topic, 1))
        assert.equal((await member.eat(1)).length, 1)
        await member.nothing()
      },
    },
    {
      id: 'settle.empty-batch',
      says: 'an empty batch of settlements answers nothing',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        assert.deepEqual(await (await stage.open(driver, topic)).settle([]), [])
      },
    },
    {
      id: 'settle.after-close',
      says: 'settling on a closed source never answers ok, and settles',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const [held] = await member.hold(1)
        await member.close()
        const answer = member.settle([{ token: held?.token, verdict: 'ack' }]).catch((error: unknown) => {
          assert.ok(isMessagingError(error))
          return ['refused']
        })
        const [said] = await stage.within('settle', 1_000, answer)
        assert.notEqual(said, 'ok')
        assert.equal((await (await stage.open(driver, topic)).eat(1)).length, 1)
      },
    },
    {
      id: 'settle.many',
      says: '200 deliveries are settled by one call, each with its answer',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 200))
        const member = await stage.open(driver, topic, { window: 200 })
        await member.ack(await member.hold(200))
        await member.close()
        await (await stage.open(driver, topic)).nothing()
      },
    },
    {
      id: 'settle.mixed',
      says: 'acknowledgements and hand-backs in one call each do what they say',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 6))
        const member = await stage.open(driver, topic)
        const held = await member.hold(6)
        const answers = await member.settle(
          held.map(({ token }, n) => ({ token, verdict: n % 2 === 0 ? ('ack' as const) : ('nack' as const) })),
        )
        assert.deepEqual(
          answers,
          held.map(() => 'ok'),
        )
        const again = await member.eat(3)
        const odd = held.filter((_, n) => n % 2 === 1)
        assert.deepEqual(again.map(({ id }) => id).sort(), odd.map(({ id }) => id).sort())
        await member.nothing()
      },
    },
    {
      id: 'settle.hand-back',
      says: 'a nack without failures brings the message back at no cost',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        await member.nack(await member.hold(1))
        const [again] = await member.hold(1)
        assert.equal(again?.failures, 0)
        assert.deepEqual(again?.history, [])
        if (stage.traits.counts) assert.equal(again?.deliveryCount, 1, 'a hand-back was counted as a start')
      },
    },
    {
      id: 'settle.failure',
      says: 'a nack with failures brings the message back with its failures and their history',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const history = [{ attempt: 1, at: 1_700_000_000_000, error: 'Error: no "luck" ✂' }]
        const [first] = await member.hold(1)
        assert.ok(first !== undefined)
        await member.nack([first], { failures: 1, history })
        const [again] = await member.hold(1)
        assert.equal(again?.id, first.id)
        assert.equal(again?.failures, 1)
        assert.deepEqual(again?.history, history)
      },
    },
    {
      id: 'settle.failure-survives-its-member',
      says: 'failures that were settled are still there for another member',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const history = [{ attempt: 1, at: 1_700_000_000_000, error: 'one' }]
        await member.nack(await member.hold(1), { failures: 1, history })
        await member.close()
        await driver.close()
        const [again] = await (await stage.open(await stage.connect(), topic)).hold(1)
        assert.equal(again?.failures, 1)
        assert.deepEqual(again?.history, history)
      },
    },
    {
      id: 'settle.nack-stays-in-its-group',
      says: 'what one group gives back no other group sees again',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none' } })
        const a = await stage.open(driver, topic, { group: 'a' })
        const b = await stage.open(driver, topic, { group: 'b' })
        await stage.send(driver, stage.messages(topic, 1))
        await b.eat(1)
        await a.nack(await a.hold(1), { failures: 1, history: [] })
        await a.eat(1)
        await b.nothing()
      },
    },
    {
      id: 'settle.nack-delayed',
      says: 'a delayed nack brings the message back to its group, and not early',
      needs: ['delayed nack'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const [first] = await member.hold(1)
        assert.ok(first !== undefined)
        const due = stage.now() + 400
        await member.nack([first], { afterMs: 400, failures: 1, history: [] })
        await nothingBefore(stage, member, due)
        const [again] = await member.eat(1)
        assert.equal(again?.id, first.id)
        assert.ok(stage.now() >= due - 5, `it came ${due - stage.now()} ms early`)
      },
      refused: async (stage) => assert.equal(stage.traits.nackDelay, 'none'),
    },
    {
      id: 'settle.nack-delayed-holds-its-key',
      says: 'while a message waits after a delayed nack, later ones of its key wait behind it',
      needs: ['ordered delayed nack'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        const member = await stage.open(driver, topic)
        await stage.send(driver, [stage.message(topic, { key: 'k', body: Buffer.from('1') })])
        const held = await member.hold(1)
        const due = stage.now() + 500
        await member.nack(held, { afterMs: 500, failures: 1, history: [] })
        await stage.send(driver, [stage.message(topic, { key: 'k', body: Buffer.from('2') })])
        await nothingBefore(stage, member, due)
        await stage.pass(Math.max(0, due - stage.now()))
        assert.equal(bodies(await member.eat(2)), '1 2')
      },
      refused: async (stage) => assert.notEqual(stage.traits.nackDelay, 'ordered'),
    },
    {
      id: 'settle.counted-starts',
      says: 'the count of deliveries begins at 1 and rises with each that failed',
      needs: ['counts'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const first = await member.hold(1)
        assert.equal(first[0]?.deliveryCount, 1)
        await member.nack(first, { failures: 1, history: [] })
        const [again] = await member.hold(1)
        assert.equal(again?.deliveryCount, 2)
      },
      refused: async (stage) => assert.equal(stage.traits.counts, false),
    },
    {
      id: 'settle.mark',
      says: 'a marked start is counted on redelivery, where the source can mark',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const [held] = await member.hold(1)
        // Without `mark` core sends a copy to the group, which `round-trip.counters` shows.
        if (member.mark === undefined) return
        assert.equal(await member.mark(held?.token), 'ok')
        await member.close()
        const [again] = await (await stage.open(driver, topic)).hold(1)
        assert.equal(again?.lone, 1)
      },
    },
    {
      id: 'settle.unmark',
      says: 'a start that was marked and has ended does not count, whether it is unmarked or handed back',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const [held] = await member.hold(1)
        if (member.mark === undefined || held === undefined) return
        assert.ok(member.unmark !== undefined, 'a source that can mark can take it back')
        assert.equal(await member.mark(held.token), 'ok')
        assert.equal(await member.unmark(held.token), 'ok')
        await member.close()
        const next = await stage.open(driver, topic)
        const [second] = await next.hold(1)
        assert.equal(second?.lone, 0)
        assert.equal(await next.mark?.(second?.token), 'ok')
        await next.nack(second === undefined ? [] : [second], { failures: 1, history: [] })
        const [third] = await next.hold(1)
        assert.equal(third?.lone, 0)
      },
    },
  ],
}
