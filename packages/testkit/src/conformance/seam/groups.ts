import assert from 'node:assert/strict'
import type { Chapter } from '../scenario.ts'
import { bodies } from '../stage.ts'

/** Groups, broadcast, reply addresses, patterns, filters. */
export const groups: Chapter = {
  name: 'groups',
  layer: 'seam',
  scenarios: [
    {
      id: 'groups.a-copy-each',
      says: 'every group gets every message once',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none', c: 'none' } })
        await stage.send(driver, stage.messages(topic, 10))
        for (const group of ['a', 'b', 'c']) {
          const member = await stage.open(driver, topic, { group })
          assert.equal((await member.eat(10)).length, 10)
          await member.nothing()
        }
      },
    },
    {
      id: 'groups.from-earliest',
      says: 'a new group that starts at the earliest gets what is kept',
      needs: ['history'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 5))
        await (await stage.open(driver, topic)).eat(5)
        const late = await stage.open(driver, topic, { group: 'late' })
        assert.equal((await late.eat(5)).length, 5)
      },
      refused: async (stage) => assert.equal(stage.traits.history, false),
    },
    {
      id: 'groups.from-latest',
      says: 'a new group that starts at the latest gets only what is sent after it was opened',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 3))
        const member = await stage.open(driver, topic, { group: 'new', from: 'latest' })
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('new') })])
        assert.equal(bodies(await member.eat(1)), 'new')
        await member.nothing()
      },
    },
    {
      id: 'groups.from-time',
      says: 'a new group that starts at a time gets what was sent from then on',
      needs: ['history'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: {} })
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('old') })])
        await stage.pass(60)
        const time = stage.now()
        await stage.pass(20)
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('new') })])
        const member = await stage.open(driver, topic, { from: { time } })
        assert.equal(bodies(await member.eat(1)), 'new')
        await member.nothing()
      },
      refused: async (stage) => assert.equal(stage.traits.history, false),
    },
    {
      id: 'groups.start-counts-once',
      says: 'a group that has started goes on where it was, whatever start a later member names',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const first = await stage.open(driver, topic, { from: 'earliest' })
        await stage.send(driver, stage.messages(topic, 2))
        await first.ack(await first.hold(2))
        await first.close()
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('meanwhile') })])
        const again = await stage.open(driver, topic, { from: 'latest' })
        assert.equal(bodies(await again.eat(1)), 'meanwhile')
        await again.nothing()
      },
    },
    {
      id: 'groups.survive-their-members',
      says: 'what is sent while a group has no member waits for it',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await (await stage.open(driver, topic)).close()
        await driver.close()
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        await stage.send(other, stage.messages(topic, 4))
        assert.equal((await (await stage.open(other, topic)).eat(4)).length, 4)
      },
    },
    {
      id: 'groups.broadcast',
      says: 'in broadcast each member gets its own copy of what is sent while it is there',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const members = await Promise.all(
          [0, 1, 2].map(() =>
            stage.open(driver, topic, { mode: 'broadcast', group: stage.name('all'), from: 'latest' }),
          ),
        )
        await stage.send(driver, stage.messages(topic, 5))
        for (const member of members) assert.equal((await member.eat(5)).length, 5)
      },
    },
    {
      id: 'groups.broadcast-ends-with-its-member',
      says: 'nothing is kept for a broadcast member that has gone',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const group = stage.name('all')
        const member = await stage.open(driver, topic, { mode: 'broadcast', group, from: 'latest' })
        await stage.send(driver, stage.messages(topic, 1))
        await member.eat(1)
        await member.close()
        await stage.send(driver, stage.messages(topic, 2))
        const again = await stage.open(driver, topic, { mode: 'broadcast', group, from: 'latest' })
        await again.nothing()
      },
    },
    {
      id: 'groups.reply-address',
      says: 'a reply address is read by the member that opened it, from any connection',
      run: async (stage) => {
        const driver = await stage.connect()
        const address = stage.topic({ name: `~reply-${stage.namespace}`, groups: {}, partitions: 1 })
        const member = await stage.open(driver, address, { mode: 'reply', group: stage.name('r'), from: 'latest' })
        const other = await stage.connect()
        await stage.send(other, [stage.message(address.name, { correlationId: 'c1', body: Buffer.from('answer') })])
        const [got] = await member.eat(1)
        assert.equal(got?.correlationId, 'c1')
        assert.equal(Buffer.from(got?.body ?? []).toString(), 'answer')
      },
    },
    {
      id: 'groups.dead-reply-address',
      says: 'an answer to an address that has gone settles soon, and the connection goes on',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const address = stage.topic({ name: `~reply-${stage.namespace}`, groups: {}, partitions: 1 })
        const member = await stage.open(driver, address, { mode: 'reply', group: stage.name('r'), from: 'latest' })
        await member.close()
        const dead = driver.send([stage.message(address.name)], { signal: AbortSignal.timeout(stage.patienceMs) })
        const [result] = await stage.within('the send', stage.patienceMs + 1_000, dead)
        assert.ok(result?.ok === true || result?.error.outcome === 'failed' || result?.error.outcome === 'unknown')
        await stage.send(driver, stage.messages(topic, 1))
      },
    },
    {
      id: 'patterns.one-word',
      says: '* takes one word of a name, # the rest; other topics are not read',
      needs: ['pattern'],
      run: async (stage) => {
        const driver = await stage.connect()
        const names = ['a.x', 'a.y', 'a.x.z', 'b.x']
        // On queue brokers a send needs a group that has the topic: the pattern's do not count.
        const topics = names.map((name) => stage.topic({ name }))
        for (const topic of topics) await driver.declare(topic, stage.signal)
        const one = await stage.open(driver, { pattern: 'a.*' }, { group: 'one' })
        const rest = await stage.open(driver, { pattern: 'a.#' }, { group: 'rest' })
        for (const topic of topics) await stage.send(driver, [stage.message(topic, { body: Buffer.from(topic.name) })])
        assert.deepEqual((await one.eat(2)).map(({ topic }) => topic).sort(), ['a.x', 'a.y'])
        assert.deepEqual((await rest.eat(3)).map(({ topic }) => topic).sort(), ['a.x', 'a.x.z', 'a.y'])
        await one.nothing()
      },
      refused: async (stage) => {
        const driver = await stage.connect()
        await assert.rejects(stage.open(driver, { pattern: 'a.*' }, { group: 'one' }))
      },
    },
    {
      id: 'patterns.later-topics',
      says: 'a topic that is declared after a pattern was opened is read by it, too',
      needs: ['pattern'],
      run: async (stage) => {
        const driver = await stage.connect()
        const member = await stage.open(driver, { pattern: 'late.*' }, { group: 'p' })
        const topic = stage.topic({ name: 'late.one' })
        await driver.declare(topic, stage.signal)
        await stage.send(driver, [stage.message(topic, { body: Buffer.from('x') })])
        const [got] = await member.eat(1)
        assert.equal(got?.topic, 'late.one')
      },
      refused: async (stage) => assert.equal(stage.traits.pattern, false),
    },
    {
      id: 'filters.by-the-driver',
      says: 'a driver that filters gives what passes, and the rest does not wait for the group',
      needs: ['filter'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: {} })
        const tag = await stage.open(driver, topic, { group: 'tag', filter: { tag: 'paid || sent' } })
        const sql = await stage.open(driver, topic, { group: 'sql', filter: { sql: "price > 9.5 AND region = 'eu'" } })
        const of = (name: string, tag: string | undefined, headers: Record<string, string>) =>
          stage.message(topic, { body: Buffer.from(name), tag, headers })
        await stage.send(driver, [
          of('a', 'paid', { price: '10', region: 'eu' }),
          of('b', 'open', { price: '10.0', region: 'us' }),
          of('c', undefined, { price: '9', region: 'eu' }),
          of('d', 'sent', { region: 'eu' }),
          of('e', 'open', { price: '100', region: 'eu' }),
        ])
        assert.deepEqual(
          bodies(await tag.eat(2))
            .split(' ')
            .sort(),
          ['a', 'd'],
        )
        assert.deepEqual(
          bodies(await sql.eat(2))
            .split(' ')
            .sort(),
          ['a', 'e'],
        )
        await tag.nothing()
        await stage.until('nothing of what did not pass waits', async () => {
          const { backlog } = await driver.lag(topic, 'tag', stage.signal)
          return backlog === 0
        })
      },
      refused: async (stage) => assert.equal(stage.traits.filter, false),
    },
    {
      id: 'priority.first',
      says: 'of messages that wait together those of a higher priority come first',
      needs: ['priority'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ priority: 9, partitions: 1 })
        await stage.send(
          driver,
          [1, 9, 5].map((priority) => stage.message(topic, { priority, body: Buffer.from(`${priority}`) })),
        )
        const member = await stage.open(driver, topic, { window: 1 })
        const seen: string[] = []
        while (seen.length < 3) {
          const got = await member.some(1)
          seen.push(bodies(got))
          await member.ack(got)
        }
        assert.equal(seen.join(' '), '9 5 1')
      },
      refused: async (stage) => assert.equal(stage.traits.priority, false),
    },
  ],
}
