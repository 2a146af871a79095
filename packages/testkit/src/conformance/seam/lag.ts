import assert from 'node:assert/strict'
import type { Chapter } from '../scenario.ts'

/** What waits for a group. */
export const lag: Chapter = {
  name: 'lag',
  layer: 'seam',
  scenarios: [
    {
      id: 'lag.counts-down',
      says: 'lag counts what a group has not settled, and comes to 0',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const backlog = async (count: number): Promise<void> => {
          await stage.until(`a backlog of ${count}`, async () => {
            const found = await driver.lag(topic, 'g', stage.signal)
            return found.backlog === count
          })
        }
        const member = await stage.open(driver, topic)
        await backlog(0)
        await stage.send(driver, stage.messages(topic, 5))
        await backlog(5)
        const held = await member.hold(5)
        await backlog(5)
        await member.ack(held)
        await backlog(0)
      },
    },
    {
      id: 'lag.without-members',
      says: 'lag of a group without members counts what waits for it',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await (await stage.open(driver, topic)).close()
        await stage.send(driver, stage.messages(topic, 3))
        await stage.until('a backlog of 3', async () => {
          const found = await driver.lag(topic, 'g', stage.signal)
          return found.backlog === 3
        })
      },
    },
    {
      id: 'lag.oldest',
      says: 'where the age of the oldest is known, it is at least as old as it is',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await (await stage.open(driver, topic)).close()
        await stage.send(driver, stage.messages(topic, 1))
        await stage.pass(300)
        const found = await stage.until('a backlog', async () => {
          const each = await driver.lag(topic, 'g', stage.signal)
          return each.backlog === 1 ? each : undefined
        })
        if (found.oldestMs !== undefined)
          assert.ok(found.oldestMs >= 250 && found.oldestMs < 60_000, `${found.oldestMs}`)
      },
    },
    {
      id: 'lag.groups-apart',
      says: 'each group has its own backlog',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none' } })
        for (const group of ['a', 'b']) await (await stage.open(driver, topic, { group })).close()
        await stage.send(driver, stage.messages(topic, 4))
        const a = await stage.open(driver, topic, { group: 'a' })
        await a.eat(4)
        await stage.until('a has 0 and b has 4', async () => {
          const [of, other] = [await driver.lag(topic, 'a', stage.signal), await driver.lag(topic, 'b', stage.signal)]
          return of.backlog === 0 && other.backlog === 4
        })
      },
    },
  ],
}
