import assert from 'node:assert/strict'
import type { Arrival } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'

/** What `Source.receive` promises. */
export const receive: Chapter = {
  name: 'receive',
  layer: 'seam',
  scenarios: [
    {
      id: 'receive.at-most-max',
      says: 'a receive gives at most as many as were asked for',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 10))
        const member = await stage.open(driver, topic)
        let seen = 0
        while (seen < 10) {
          const got = await member.some(3)
          assert.ok(got.length <= 3, `${got.length} came`)
          seen += got.length
        }
      },
    },
    {
      id: 'receive.bodies-stay',
      says: 'the body of a delivery stays as it came while later ones are received and settled',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const messages = stage.messages(topic, 4)
        await stage.send(driver, messages)
        const member = await stage.open(driver, topic)
        const got: Arrival[] = []
        while (got.length < messages.length) got.push(...(await member.some(1)))
        await member.settle(got.slice(2).map(({ token }) => ({ token, verdict: 'ack' })))
        const sent = new Map(messages.map(({ id, body }) => [id, Buffer.from(body).toString()]))
        for (const { id, body } of got) assert.equal(Buffer.from(body).toString(), sent.get(id))
      },
    },
    {
      id: 'receive.waits',
      says: 'a receive on an empty topic waits and gives what comes then',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        await member.nothing()
        const waiting = member.some()
        const [message] = stage.messages(topic, 1)
        assert.ok(message !== undefined)
        await stage.send(driver, [message])
        assert.equal((await waiting)[0]?.id, message.id)
      },
    },
    {
      id: 'receive.aborted-before',
      says: 'a receive whose signal has fired gives none, at once, though messages are there',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 3))
        const member = await stage.open(driver, topic)
        assert.equal((await stage.within('receive', 1_000, member.receive(10, AbortSignal.abort()))).length, 0)
        assert.equal((await member.eat(3)).length, 3)
      },
    },
    {
      id: 'receive.aborted-waiting',
      says: 'an abort ends a waiting receive within a second, with none',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const stop = new AbortController()
        const waiting = member.receive(10, stop.signal)
        stop.abort()
        assert.deepEqual(await stage.within('the aborted receive', 1_000, waiting), [])
      },
    },
    {
      id: 'receive.abort-loses-none',
      says: 'receives that are aborted while messages come lose none of them',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const seen = new Set<string>()
        let over = false
        const sending = (async () => {
          for (let n = 0; n < 20; n++) await stage.send(driver, stage.messages(topic, 5))
        })().finally(() => {
          over = true
        })
        sending.catch(() => {})
        for (let n = 0; !over; n++) {
          const stop = new AbortController()
          const waiting = member.receive(7, stop.signal)
          if (n % 2 === 0) setImmediate(() => stop.abort())
          else setTimeout(() => stop.abort(), n % 10)
          const got = await waiting
          for (const { id } of got) seen.add(id)
          await member.ack(got)
        }
        await sending
        if (seen.size < 100) for (const { id } of await member.eat(100 - seen.size)) seen.add(id)
        assert.equal(seen.size, 100)
      },
    },
    {
      id: 'receive.window',
      says: 'no more than the window is out unsettled; settling makes room',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 20))
        const member = await stage.open(driver, topic, { window: 5 })
        const first = await member.hold(5)
        await member.nothing()
        await member.ack(first.slice(0, 2))
        const next = await member.hold(2)
        await member.nothing()
        assert.equal(new Set([...first, ...next].map(({ id }) => id)).size, 7)
      },
    },
    {
      id: 'receive.shared',
      says: 'two members of a group share its messages: each message goes to one of them',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        const members = [await stage.open(driver, topic), await stage.open(other, topic)]
        await stage.send(driver, stage.messages(topic, 40))
        const seen: string[] = []
        const stop = AbortSignal.timeout(stage.patienceMs)
        await Promise.all(
          members.map(async (member) => {
            while (seen.length < 40 && !stop.aborted) {
              const got = await member.receive(5, AbortSignal.any([stop, AbortSignal.timeout(100)]))
              for (const each of got) if (each.lost?.reason === undefined) seen.push(each.id)
              await member.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
            }
          }),
        )
        assert.equal(new Set(seen).size, 40)
        assert.equal(seen.length, 40, 'a message went to both')
      },
    },
    {
      id: 'receive.wakes-all',
      says: 'a free member gets messages while another holds its full window',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ partitions: 4 })
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        const busy = await stage.open(driver, topic, { window: 2 })
        await stage.send(driver, stage.messages(topic, 2))
        const held = await busy.hold(2)
        const free = await stage.open(other, topic, { window: 50 })
        await stage.send(
          driver,
          stage.messages(topic, 24, (n) => ({ key: `k${n}` })),
        )
        assert.ok((await free.some()).length > 0)
        assert.equal(held.length, 2)
      },
    },
  ],
}
