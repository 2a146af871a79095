import assert from 'node:assert/strict'
import type { Chapter } from '../scenario.ts'

/** Leases: whose a delivery is, and for how long. */
export const leases: Chapter = {
  name: 'leases',
  layer: 'seam',
  scenarios: [
    {
      id: 'leases.run-out',
      says: 'a delivery that is not extended goes to another, tells its holder, and its late settlement is stale',
      needs: ['lease'],
      run: async (stage) => {
        const leaseMs = stage.traits.leaseMs ?? 0
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const slow = await stage.open(driver, topic)
        const [held] = await slow.hold(1)
        assert.ok(held !== undefined)
        const { lost } = held
        const other = await stage.open(await stage.connect(), topic)
        await stage.pass(leaseMs + 50)
        const [again] = await other.hold(1)
        assert.equal(again?.id, held.id)
        assert.deepEqual(await slow.settle([{ token: held.token, verdict: 'ack' }]), ['stale'])
        await stage.until('its holder was told', () => lost?.reason)
        if (stage.traits.counts) assert.equal(again?.deliveryCount, 2)
        if (again !== undefined) await other.ack([again])
      },
      refused: async (stage) => {
        const { driver, topic } = await stage.declared()
        assert.equal((await stage.open(driver, topic)).extend, undefined)
      },
    },
    {
      id: 'leases.extended',
      says: 'a delivery that is extended in time stays with its holder',
      needs: ['lease'],
      run: async (stage) => {
        const leaseMs = stage.traits.leaseMs ?? 0
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const held = await member.hold(1)
        const other = await stage.open(await stage.connect(), topic)
        for (let n = 0; n < 6; n++) {
          await stage.pass(leaseMs / 3)
          assert.deepEqual(await member.extend?.(held.map(({ token }) => token)), ['ok'])
        }
        await other.nothing()
        await member.ack(held)
      },
      refused: async (stage) => assert.equal(stage.traits.leaseMs, undefined),
    },
    {
      id: 'leases.extend-stale',
      says: 'extending what was settled answers stale',
      needs: ['lease'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(driver, topic)
        const held = await member.hold(1)
        await member.ack(held)
        assert.deepEqual(await member.extend?.(held.map(({ token }) => token)), ['stale'])
      },
      refused: async (stage) => assert.equal(stage.traits.leaseMs, undefined),
    },
    {
      id: 'leases.key-goes-whole',
      says: 'when the lease of a key runs out, the next owner gets all of it, in order, and the old one none of it through',
      needs: ['lease', 'order across processes'],
      run: async (stage) => {
        const leaseMs = stage.traits.leaseMs ?? 0
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 3, () => ({ key: 'k' })),
        )
        const slow = await stage.open(driver, topic)
        const held = await slow.hold(3)
        const other = await stage.open(await stage.connect(), topic)
        await stage.pass(leaseMs + 50)
        const again = await other.hold(3)
        assert.deepEqual(
          again.map(({ id }) => id),
          held.map(({ id }) => id),
        )
        const answers = await slow.settle(held.map(({ token }) => ({ token, verdict: 'ack' })))
        assert.ok(!answers.includes('ok'), `the old owner settled: ${answers}`)
        await other.ack(again)
      },
      refused: async (stage) => assert.ok(stage.traits.leaseMs === undefined || stage.traits.order === 'process'),
    },
  ],
}
