import assert from 'node:assert/strict'
import { isMessagingError } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'
import { bodies } from '../stage.ts'

/** What `Driver.send` promises. */
export const send: Chapter = {
  name: 'send',
  layer: 'seam',
  scenarios: [
    {
      id: 'send.one-receipt-each',
      says: 'a batch resolves with one good receipt per message, in order, and every message is there once',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const sent = stage.messages(topic, 40)
        await stage.send(driver, sent)
        const member = await stage.open(driver, topic)
        const got = await member.eat(40)
        assert.deepEqual(got.map(({ id }) => id).sort(), sent.map(({ id }) => id).sort())
        await member.nothing()
      },
    },
    {
      id: 'send.empty-batch',
      says: 'an empty batch resolves with no receipts',
      run: async (stage) => {
        const { driver } = await stage.declared()
        assert.deepEqual(await driver.send([], { signal: stage.signal }), [])
      },
    },
    {
      id: 'send.nobody-to-route-to',
      says: 'where nothing is kept for later groups, a message that reaches no group is refused as unroutable',
      needs: ['no history'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: {} })
        const [result] = await driver.send(stage.messages(topic, 1), { signal: stage.signal })
        assert.ok(result?.ok === false, 'the message went nowhere and was called sent')
        assert.equal(result.error.code, 'unroutable')
        assert.equal(result.error.retryable, false)
      },
      // With history the next scenario shows what holds instead.
      refused: async (stage) => assert.equal(stage.traits.history, true),
    },
    {
      id: 'send.kept-for-later-groups',
      says: 'where history is kept, a message sent before any group waits for the first',
      needs: ['history'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: {} })
        await stage.send(driver, stage.messages(topic, 3))
        const member = await stage.open(driver, topic, { group: 'later' })
        assert.equal((await member.eat(3)).length, 3)
      },
      refused: async (stage) => assert.equal(stage.traits.history, false),
    },
    {
      id: 'send.partly-unroutable',
      says: 'in a batch of two topics the one without a group does not spoil the other',
      needs: ['no history'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const nowhere = stage.topic({ groups: {} })
        await driver.declare(nowhere, stage.signal)
        const [bad] = stage.messages(nowhere, 1)
        const [first, last] = stage.messages(topic, 2)
        assert.ok(bad !== undefined && first !== undefined && last !== undefined)
        const results = await driver.send([first, bad, last], { signal: stage.signal })
        assert.deepEqual(
          results.map(({ ok }) => ok),
          [true, false, true],
        )
      },
      refused: async (stage) => assert.equal(stage.traits.history, true),
    },
    {
      id: 'send.too-large',
      says: 'a body above the limit is refused as too-large, for good, and the connection goes on',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const [big] = stage.messages(topic, 1, () => ({ body: Buffer.alloc(stage.traits.maxBytes + 1) }))
        assert.ok(big !== undefined)
        const [result] = await driver.send([big], { signal: stage.signal })
        assert.ok(result?.ok === false, 'it was accepted')
        assert.equal(result.error.code, 'too-large')
        const [small] = stage.messages(topic, 1)
        assert.ok(small !== undefined)
        await stage.send(driver, [small])
        const got = await (await stage.open(driver, topic)).eat(1)
        assert.equal(got[0]?.id, small.id)
      },
    },
    {
      id: 'send.large-body',
      says: 'a body of 256 KiB arrives byte for byte',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const body = Buffer.alloc(262_144, 'posthorn')
        await stage.send(driver, [stage.message(topic, { body })])
        const [got] = await (await stage.open(driver, topic)).eat(1)
        assert.ok(got !== undefined && body.equals(got.body))
      },
    },
    {
      id: 'send.full-batch',
      says: 'a batch as large as the traits allow is held whole',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const count = Math.min(stage.traits.maxBatch, 500)
        await stage.send(driver, stage.messages(topic, count))
        const member = await stage.open(driver, topic)
        assert.equal((await member.eat(count)).length, count)
      },
    },
    {
      id: 'send.overlapping',
      says: 'as many batches as the traits allow may be under way at once, and none is lost',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const count = Math.min(stage.traits.inFlight, 8)
        await Promise.all(Array.from({ length: count }, () => stage.send(driver, stage.messages(topic, 20))))
        const member = await stage.open(driver, topic)
        assert.equal((await member.eat(count * 20)).length, count * 20)
      },
    },
    {
      id: 'send.in-order',
      says: 'what one connection sends of a key, batch after batch, is received in that order',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        const sent = stage.messages(topic, 30, () => ({ key: 'k' }))
        for (let n = 0; n < 30; n += 10) await stage.send(driver, sent.slice(n, n + 10))
        const got = await (await stage.open(driver, topic)).eat(30)
        assert.equal(bodies(got), bodies(sent))
      },
    },
    {
      id: 'send.to-one-group',
      says: 'a message that names a group reaches that group and no other',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none' } })
        const a = await stage.open(driver, topic, { group: 'a' })
        const b = await stage.open(driver, topic, { group: 'b' })
        await stage.send(driver, [stage.message(topic, { group: 'a', generation: 1, body: Buffer.from('copy') })])
        assert.equal(bodies(await a.eat(1)), 'copy')
        await b.nothing()
      },
    },
    {
      id: 'send.to-a-group-in-order',
      says: 'copies of one key to one group keep their order',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        const sent = stage.messages(topic, 6, () => ({ key: 'k', group: 'g', generation: 1 }))
        for (const each of sent) await stage.send(driver, [each])
        const got = await (await stage.open(driver, topic)).eat(6)
        assert.equal(bodies(got), bodies(sent))
      },
    },
    {
      id: 'send.named-partition',
      says: 'a message may name its partition, and arrives',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        await stage.send(
          driver,
          stage.messages(topic, 4, (n) => ({ key: `k${n}`, partition: 1 })),
        )
        const got = await (await stage.open(driver, topic)).eat(4)
        assert.deepEqual(got.map(({ key }) => key).sort(), ['k0', 'k1', 'k2', 'k3'])
      },
    },
    {
      id: 'send.bytes-are-ours',
      says: 'what the sender does with its bytes after the receipt changes nothing',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const body = Buffer.from('before')
        await stage.send(driver, [stage.message(topic, { body })])
        body.fill('x')
        assert.equal(bodies(await (await stage.open(driver, topic)).eat(1)), 'before')
      },
    },
    {
      id: 'send.aborted',
      says: 'a send whose signal has fired settles within a second, and no result says that it was sent',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const answer = driver.send(stage.messages(topic, 3), { signal: AbortSignal.abort() }).then(
          (results) => results.every(({ ok }) => !ok),
          (error) => isMessagingError(error),
        )
        assert.ok(await stage.within('the aborted send', 1_000, answer))
      },
    },
    {
      id: 'send.aborted-under-way',
      says: 'a send whose signal fires under way settles within a second; what is called failed, or was taken back, is not delivered',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const stop = new AbortController()
        const messages = stage.messages(topic, 100)
        const answer = driver.send(messages, { signal: stop.signal }).catch((error: unknown) => {
          assert.ok(isMessagingError(error))
          return messages.map(() => ({ ok: false as const, error }))
        })
        const taken = new Set(messages.filter((message, n) => n % 2 === 0 && driver.withdraw?.(messages, message)))
        stop.abort()
        const results = await stage.within('the aborted send', 1_000, answer)
        const member = await stage.open(driver, topic)
        const good = messages.filter((message, n) => results[n]?.ok === true && !taken.has(message)).length
        const got = good > 0 ? await member.eat(good) : []
        const failed = new Set(
          messages
            .filter((message, n) => {
              const result = results[n]
              if (taken.has(message)) return true
              return result?.ok === false && result.error.outcome === 'failed'
            })
            .map(({ id }) => id),
        )
        const rest = await member.receive(100, AbortSignal.timeout(stage.quietMs))
        assert.deepEqual(
          [...got, ...rest].filter(({ id }) => failed.has(id)).map(({ id }) => id),
          [],
        )
      },
    },
    {
      id: 'send.by-two-connections',
      says: 'what two connections send at once is all there',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        await Promise.all([stage.send(driver, stage.messages(topic, 25)), stage.send(other, stage.messages(topic, 25))])
        assert.equal((await (await stage.open(driver, topic)).eat(50)).length, 50)
      },
    },
  ],
}
