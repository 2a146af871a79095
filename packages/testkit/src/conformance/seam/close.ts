import assert from 'node:assert/strict'
import { isMessagingError } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'

/** Ends: of sources, of connections, at once, twice, under way. */
export const close: Chapter = {
  name: 'close',
  layer: 'seam',
  scenarios: [
    {
      id: 'close.source-twice',
      says: 'a source closes within 5 s, also twice and also at the same time',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        await stage.within('close', 5_000, Promise.all([member.close(), member.close(), member.close()]))
        await stage.within('close', 1_000, member.close())
      },
    },
    {
      id: 'close.source-ends-its-receive',
      says: 'a receive that waits settles when its source is closed, with none',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const waiting = member.receive(10, stage.signal).then(
          (got) => got.length,
          (error: unknown) => {
            assert.ok(isMessagingError(error))
            return 0
          },
        )
        await member.close()
        assert.equal(await stage.within('the receive', 5_000, waiting), 0)
      },
    },
    {
      id: 'close.source-gives-back',
      says: 'what a closed source had not settled is given back, in whole and at no cost',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 10))
        const member = await stage.open(driver, topic)
        await member.hold(10)
        await member.close()
        const again = await (await stage.open(driver, topic)).hold(10)
        for (const each of again) {
          assert.equal(each.failures, 0)
          if (stage.traits.counts) assert.equal(each.deliveryCount, 1, 'a clean stop cost a try')
        }
      },
    },
    {
      id: 'close.other-sources-stay',
      says: 'closing one source of a connection leaves its others',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none' } })
        const a = await stage.open(driver, topic, { group: 'a' })
        const b = await stage.open(driver, topic, { group: 'b' })
        await a.close()
        await stage.send(driver, stage.messages(topic, 2))
        assert.equal((await b.eat(2)).length, 2)
      },
    },
    {
      id: 'close.driver-twice',
      says: 'a connection closes within 5 s, with open sources, also twice and at the same time',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 5))
        const member = await stage.open(driver, topic)
        await member.hold(5)
        await stage.within('close', 6_000, Promise.all([driver.close(), driver.close()]))
        await stage.within('close', 1_000, driver.close())
        const again = await (await stage.open(await stage.connect(), topic)).eat(5)
        assert.equal(again.length, 5)
      },
    },
    {
      id: 'close.driver-at-once',
      says: 'a connection that was just made, and did nothing, closes',
      run: async (stage) => {
        const driver = await stage.connect()
        await stage.within('close', 5_000, driver.close())
      },
    },
    {
      id: 'close.driver-under-way',
      says: 'closing while sends are under way settles them all, and what was called sent is there',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const sends = Array.from({ length: 4 }, () => {
          const messages = stage.messages(topic, 20)
          return driver.send(messages, { signal: stage.signal }).then(
            (results) => messages.filter((_, n) => results[n]?.ok === true),
            (error: unknown) => {
              assert.ok(isMessagingError(error), String(error))
              return []
            },
          )
        })
        await stage.within('close', 6_000, driver.close())
        const sent = (await stage.within('the sends', 5_000, Promise.all(sends))).flat()
        const member = await stage.open(await stage.connect(), topic)
        const there = new Set((await member.eat(sent.length)).map(({ id }) => id))
        const missing = sent.filter(({ id }) => !there.has(id))
        // What nobody knows of may be there, too.
        if (missing.length > 0) await member.eat(missing.length)
      },
    },
    {
      id: 'close.used-again',
      says: 'a closed connection refuses sends and subscriptions by a MessagingError',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await driver.close()
        const sent = driver.send(stage.messages(topic, 1), { signal: stage.signal }).then(
          ([result]) => result?.ok === false,
          (error: unknown) => isMessagingError(error),
        )
        assert.ok(await stage.within('the send', 5_000, sent), 'a closed connection sent')
        await assert.rejects(stage.open(driver, topic), (error) => isMessagingError(error))
      },
    },
    {
      id: 'close.health-answers',
      says: 'health says yes while the connection is open, and never rejects, also after its end',
      run: async (stage) => {
        const { driver } = await stage.declared()
        const checks = await driver.health()
        assert.ok(checks.length > 0 && checks.every(({ ok }) => ok), JSON.stringify(checks))
        await driver.close()
        const after = await stage.within('health', 5_000, driver.health())
        assert.ok(after.length > 0 && after.some(({ ok }) => !ok), 'a closed connection is called healthy')
      },
    },
    {
      id: 'close.open-aborted',
      says: 'opening with a signal that has fired rejects soon',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const opening = driver.open(
          {
            source: topic,
            mode: 'shared',
            group: 'g',
            member: 'late',
            order: 'none',
            window: 1,
            from: 'earliest',
            filter: undefined,
            report: () => {},
          },
          AbortSignal.abort(),
        )
        await stage.within(
          'open',
          5_000,
          assert.rejects(opening, (error) => isMessagingError(error)),
        )
      },
    },
  ],
}
