import assert from 'node:assert/strict'
import type { Arrival } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'
import { bodies, type Member, type Stage } from '../stage.ts'

/** Replay, seek, query, positions. */
export const history: Chapter = {
  name: 'history',
  layer: 'seam',
  scenarios: [
    {
      id: 'replay.whole',
      says: 'a replay reads what is there, in order, once, and ends',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 12, () => ({ key: 'k' })),
        )
        const replay = await stage.open(driver, topic, { mode: 'replay', group: stage.name('r'), order: 'key' })
        const got = await toTheEnd(stage, replay)
        assert.equal(bodies(got), '0 1 2 3 4 5 6 7 8 9 10 11')
      },
      refused: refusesReplay,
    },
    {
      id: 'replay.apart',
      says: 'a replay takes nothing from a group, and gives what the group has settled',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 4))
        const member = await stage.open(driver, topic)
        await member.ack((await member.hold(4)).slice(0, 2))
        const replay = await stage.open(driver, topic, { mode: 'replay', group: stage.name('r') })
        assert.equal((await toTheEnd(stage, replay)).length, 4)
        await member.close()
        assert.ok((await (await stage.open(driver, topic)).eat(2)).length >= 2)
      },
      refused: refusesReplay,
    },
    {
      id: 'replay.until-now',
      says: 'a replay ends at what was there when it began',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 3))
        const replay = await stage.open(driver, topic, { mode: 'replay', group: stage.name('r') })
        await stage.send(driver, stage.messages(topic, 3))
        assert.equal((await toTheEnd(stage, replay)).length, 3)
      },
      refused: refusesReplay,
    },
    {
      id: 'replay.from-and-to',
      says: 'a replay from a position to a position reads both and what lies between',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 6, () => ({ key: 'k' })),
        )
        const whole = await stage.open(driver, topic, { mode: 'replay', group: stage.name('r'), order: 'key' })
        const all = await toTheEnd(stage, whole)
        const [from, to] = [all[2]?.position, all[4]?.position]
        assert.ok(from !== undefined && to !== undefined, 'a delivery that can be replayed has a position')
        const part = await stage.open(driver, topic, {
          mode: 'replay',
          group: stage.name('r'),
          order: 'key',
          from: { position: from },
          to: { position: to },
        })
        assert.equal(bodies(await toTheEnd(stage, part)), '2 3 4')
      },
      refused: refusesReplay,
    },
    {
      id: 'replay.receipt',
      says: 'the position that a receipt names is that of its message: a replay from it begins there',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        const results = await stage.send(
          driver,
          stage.messages(topic, 5, () => ({ key: 'k' })),
        )
        for (const n of [3, 1]) {
          const result = results[n]
          // A broker may tell positions on delivery only.
          if (result?.ok !== true || result.position === undefined) return
          const replay = await stage.open(driver, topic, {
            mode: 'replay',
            group: stage.name('r'),
            order: 'key',
            from: { position: result.position },
          })
          assert.equal(bodies(await toTheEnd(stage, replay)), [0, 1, 2, 3, 4].slice(n).join(' '))
        }
      },
      refused: refusesReplay,
    },
    {
      id: 'replay.from-time',
      says: 'a replay from a time reads what was sent from then on',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('old') })])
        await stage.pass(60)
        const time = stage.now()
        await stage.pass(20)
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('new') })])
        const replay = await stage.open(driver, topic, { mode: 'replay', group: stage.name('r'), from: { time } })
        assert.equal(bodies(await toTheEnd(stage, replay)), 'new')
      },
      refused: refusesReplay,
    },
    {
      id: 'replay.empty',
      says: 'a replay of nothing ends at once',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const replay = await stage.open(driver, topic, { mode: 'replay', group: stage.name('r') })
        assert.equal((await toTheEnd(stage, replay)).length, 0)
      },
      refused: refusesReplay,
    },
    {
      id: 'replay.without-copies',
      says: 'copies to one group and dead letters are not part of history',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const [message] = stage.messages(topic, 1)
        assert.ok(message !== undefined)
        await stage.send(driver, [message])
        await stage.send(driver, [{ ...message, group: 'g', generation: 1, failures: 1 }])
        await stage.send(driver, [
          { ...message, group: 'g', letter: { reason: 'rejected', error: undefined, attempts: 1, at: 1 } },
        ])
        const replay = await stage.open(driver, topic, { mode: 'replay', group: stage.name('r') })
        assert.equal((await toTheEnd(stage, replay)).length, 1)
      },
      refused: refusesReplay,
    },
    {
      id: 'seek.back',
      says: 'a group that seeks back gets again what it had settled, and what it held is stale',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        await stage.send(
          driver,
          stage.messages(topic, 5, () => ({ key: 'k' })),
        )
        const member = await stage.open(driver, topic)
        const held = await member.hold(5)
        await member.ack(held.slice(0, 3))
        assert.ok(member.seek !== undefined, 'a source that can replay can seek')
        const position = held[1]?.position
        assert.ok(position !== undefined)
        await member.seek({ position })
        const [late] = await member.settle([{ token: held[4]?.token, verdict: 'ack' }])
        assert.notEqual(late, 'ok')
        assert.equal(bodies(await member.eat(4)), '1 2 3 4')
      },
      refused: async (stage) => {
        const { driver, topic } = await stage.declared()
        assert.equal((await stage.open(driver, topic)).seek, undefined)
      },
    },
    {
      id: 'seek.to-the-end',
      says: 'a group that seeks to the latest gets only what comes then',
      needs: ['replay'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 5))
        const member = await stage.open(driver, topic)
        await member.some(1)
        await member.seek?.('latest')
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('new') })])
        assert.equal(bodies(await member.eat(1)), 'new')
        await member.nothing()
      },
      refused: async (stage) => {
        const { driver, topic } = await stage.declared()
        assert.equal((await stage.open(driver, topic)).seek, undefined)
      },
    },
    {
      id: 'query.by-id-key-and-time',
      says: 'stored messages are found by id, by key and by time, oldest first, also after they were handled',
      needs: ['query'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' }, partitions: 1 })
        const sent = stage.messages(topic, 4, (n) => ({ key: n % 2 === 0 ? 'even' : 'odd' }))
        await stage.send(driver, sent.slice(0, 2))
        await stage.pass(60)
        const time = stage.now()
        await stage.pass(20)
        await stage.send(driver, sent.slice(2))
        await (await stage.open(driver, topic)).eat(4)
        const find = async (where: { id?: string; key?: string; from?: number; to?: number }): Promise<string> => {
          const found: Arrival[] = []
          const all = { id: undefined, key: undefined, from: undefined, to: undefined, ...where }
          for await (const each of driver.query?.(topic, all, stage.signal) ?? []) found.push(each)
          return bodies(found)
        }
        assert.equal(await find({}), '0 1 2 3')
        assert.equal(await find({ id: sent[2]?.id ?? '' }), '2')
        assert.equal(await find({ key: 'odd' }), '1 3')
        assert.equal(await find({ from: time }), '2 3')
        assert.equal(await find({ to: time }), '0 1')
        assert.equal(await find({ id: 'nobody' }), '')
      },
      refused: async (stage) => assert.equal((await stage.connect()).query, undefined),
    },
  ],
}

async function toTheEnd(stage: Stage, replay: Member): Promise<Arrival[]> {
  const all: Arrival[] = []
  for (;;) {
    const got = await stage.within('the replay', stage.patienceMs, replay.receive(5, stage.signal))
    if (got.length === 0) return all
    all.push(...got)
    await replay.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
  }
}

async function refusesReplay(stage: Stage): Promise<void> {
  const { driver, topic } = await stage.declared()
  await assert.rejects(stage.open(driver, topic, { mode: 'replay', group: stage.name('r') }))
}
