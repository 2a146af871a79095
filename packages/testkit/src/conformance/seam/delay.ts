import assert from 'node:assert/strict'
import { inTimeMs, nothingBefore } from '../early.ts'
import type { Chapter } from '../scenario.ts'
import { bodies } from '../stage.ts'

/** Delay, cancel, reschedule. */
export const delay: Chapter = {
  name: 'delay',
  layer: 'seam',
  scenarios: [
    {
      id: 'delay.not-early',
      says: 'a delayed message comes, and not before its time',
      needs: ['delay of any message'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const notBefore = stage.now() + 700
        await stage.send(driver, [stage.message(topic, { notBefore })])
        await nothingBefore(stage, member, notBefore)
        await member.eat(1)
        assert.ok(stage.now() >= notBefore - 5, `it came ${notBefore - stage.now()} ms early`)
      },
      refused: async (stage) => assert.notEqual(stage.traits.delay, 'any'),
    },
    {
      id: 'delay.overtaken',
      says: 'a short delay sent after a long one comes before it',
      needs: ['delay of any message'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const now = stage.now()
        await stage.send(driver, [
          // So far apart that a machine that stands still for a while does not make them due at once.
          stage.message(topic, { notBefore: now + 4_000, body: Buffer.from('long') }),
          stage.message(topic, { notBefore: now + 500, body: Buffer.from('short') }),
          stage.message(topic, { body: Buffer.from('none') }),
        ])
        const seen: string[] = []
        while (seen.length < 3) {
          // Two may come at once on a busy machine.
          seen.push(...bodies(await member.eat(1)).split(' '))
          await stage.pass(750)
        }
        assert.equal(seen.join(' '), 'none short long')
      },
      refused: async (stage) => assert.notEqual(stage.traits.delay, 'any'),
    },
    {
      id: 'delay.past',
      says: 'a time that has passed is now',
      needs: ['delay of any message'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, [stage.message(topic, { notBefore: stage.now() - 60_000 })])
        await (await stage.open(driver, topic)).eat(1)
      },
      refused: async (stage) => assert.notEqual(stage.traits.delay, 'any'),
    },
    {
      id: 'delay.every-group',
      says: 'a delayed message reaches every group, also when no member is there at its time',
      needs: ['delay of any message'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none' } })
        await stage.send(driver, [stage.message(topic, { notBefore: stage.now() + 200 })])
        await stage.pass(400)
        for (const group of ['a', 'b']) await (await stage.open(driver, topic, { group })).eat(1)
      },
      refused: async (stage) => assert.notEqual(stage.traits.delay, 'any'),
    },
    {
      id: 'delay.keeps-the-message',
      says: 'a delayed message arrives whole, and without its delay counting as anything',
      needs: ['delay of any message'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        const sent = stage.message(topic, {
          notBefore: stage.now() + 100,
          key: 'k',
          tag: 't',
          headers: { a: 'ä' },
          correlationId: 'c',
        })
        await stage.send(driver, [sent])
        const member = await stage.open(driver, topic)
        await stage.pass(100)
        const [got] = await member.eat(1)
        assert.equal(got?.id, sent.id)
        assert.equal(got?.key, 'k')
        assert.equal(got?.tag, 't')
        assert.deepEqual({ ...got?.headers }, { a: 'ä' })
        assert.equal(got?.correlationId, 'c')
        assert.equal(got?.failures, 0)
      },
      refused: async (stage) => assert.notEqual(stage.traits.delay, 'any'),
    },
    {
      id: 'delay.to-a-group',
      says: 'a delayed copy to one group reaches that group alone, and not early',
      needs: ['delay to a group'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none' } })
        const a = await stage.open(driver, topic, { group: 'a' })
        const b = await stage.open(driver, topic, { group: 'b' })
        const notBefore = stage.now() + 500
        await stage.send(driver, [stage.message(topic, { group: 'a', generation: 1, failures: 1, notBefore })])
        await nothingBefore(stage, a, notBefore)
        const [got] = await a.eat(1)
        assert.ok(stage.now() >= notBefore - 5, `it came ${notBefore - stage.now()} ms early`)
        assert.equal(got?.generation, 1)
        assert.equal(got?.failures, 1)
        await b.nothing()
      },
      refused: async (stage) => assert.equal(stage.traits.delay, 'none'),
    },
    {
      id: 'cancel.in-time',
      says: 'a waiting message that was cancelled is never delivered',
      needs: ['cancel'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const due = stage.now() + inTimeMs
        const message = stage.message(topic, { notBefore: due })
        await stage.send(driver, [message])
        assert.equal(await driver.cancel?.(message.id, topic.name, undefined), 'cancelled')
        await stage.pass(Math.max(0, due - stage.now()) + 100)
        await member.nothing()
      },
      refused: async (stage) => assert.equal((await stage.connect()).cancel, undefined),
    },
    {
      id: 'cancel.by-another',
      says: 'another connection that knows topic and id can cancel',
      needs: ['cancel'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const message = stage.message(topic, { notBefore: stage.now() + 60_000 })
        await stage.send(driver, [message])
        const other = await stage.connect()
        assert.equal(await other.cancel?.(message.id, topic.name, undefined), 'cancelled')
        assert.notEqual(await driver.cancel?.(message.id, topic.name, undefined), 'unknown-word')
      },
      refused: async (stage) => assert.equal((await stage.connect()).cancel, undefined),
    },
    {
      id: 'cancel.too-late',
      says: 'what has been delivered is not called cancelled, nor what nobody knows',
      needs: ['cancel'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const message = stage.message(topic, { notBefore: stage.now() + 50 })
        await stage.send(driver, [message])
        const member = await stage.open(driver, topic)
        await stage.pass(50)
        await member.eat(1)
        assert.notEqual(await driver.cancel?.(message.id, topic.name, undefined), 'cancelled')
        assert.notEqual(await driver.cancel?.('nobody-knows-me', topic.name, undefined), 'cancelled')
      },
      refused: async (stage) => assert.equal((await stage.connect()).cancel, undefined),
    },
    {
      id: 'cancel.race',
      says: 'at the moment at which it is due a message is either cancelled or delivered, never both',
      needs: ['cancel'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const due = stage.now() + 150
        const messages = stage.messages(topic, 20, () => ({ notBefore: due }))
        await stage.send(driver, messages)
        const stopped = new Set<string>()
        await stage.pass(Math.max(0, due - stage.now() - 2))
        for (const { id } of messages)
          if ((await driver.cancel?.(id, topic.name, undefined)) === 'cancelled') stopped.add(id)
        await stage.pass(300)
        const got = await member.eat(messages.length - stopped.size)
        for (const { id } of got) assert.ok(!stopped.has(id), 'a cancelled message was delivered')
        await member.nothing()
      },
      refused: async (stage) => assert.equal((await stage.connect()).cancel, undefined),
    },
    {
      id: 'reschedule.earlier-and-later',
      says: 'a waiting message comes at the time that it was given last',
      needs: ['cancel'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const soon = stage.message(topic, { notBefore: stage.now() + 60_000, body: Buffer.from('soon') })
        const due = stage.now() + inTimeMs
        const late = stage.message(topic, { notBefore: due, body: Buffer.from('late') })
        await stage.send(driver, [soon, late])
        assert.equal(await driver.reschedule?.(soon.id, topic.name, stage.now() + 100, undefined), 'rescheduled')
        assert.equal(await driver.reschedule?.(late.id, topic.name, stage.now() + 60_000, undefined), 'rescheduled')
        await stage.pass(Math.max(0, due - stage.now()) + 100)
        assert.equal(bodies(await member.eat(1)), 'soon')
        await member.nothing()
      },
      refused: async (stage) => assert.equal((await stage.connect()).reschedule, undefined),
    },
  ],
}
