import assert from 'node:assert/strict'
import { isMessagingError } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'

/** What `declare` promises. */
export const declare: Chapter = {
  name: 'declare',
  layer: 'seam',
  scenarios: [
    {
      id: 'declare.twice',
      says: 'declaring again changes nothing and loses nothing',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, stage.messages(topic, 3))
        await driver.declare(topic, stage.signal)
        await (await stage.connect()).declare(topic, stage.signal)
        const member = await stage.open(driver, topic)
        assert.equal((await member.eat(3)).length, 3)
      },
    },
    {
      id: 'declare.at-once',
      says: 'six connections that declare the same topic at the same time all succeed',
      run: async (stage) => {
        const topic = stage.topic()
        const drivers = await Promise.all(Array.from({ length: 6 }, () => stage.connect()))
        await Promise.all(drivers.map((driver) => driver.declare(topic, stage.signal)))
        for (const driver of drivers) await stage.send(driver, stage.messages(topic, 1))
        const member = await stage.open(drivers[0] as (typeof drivers)[0], topic)
        assert.equal((await member.eat(6)).length, 6)
      },
    },
    {
      id: 'declare.groups-before-readers',
      says: 'a group that the topic names gets what was sent before its first member came',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { early: 'none', late: 'none' } })
        await stage.send(driver, stage.messages(topic, 5))
        for (const group of ['early', 'late'])
          assert.equal((await (await stage.open(driver, topic, { group })).eat(5)).length, 5)
      },
    },
    {
      id: 'declare.check-finds-nothing',
      says: "topology 'check' refuses a topic that is not there with not-found",
      run: async (stage) => {
        const driver = await stage.connect({ topology: 'check' })
        await assert.rejects(driver.declare(stage.topic(), stage.signal), (error) =>
          isMessagingError(error, 'not-found'),
        )
      },
    },
    {
      id: 'declare.check-finds-it',
      says: "topology 'check' accepts what another connection has declared",
      run: async (stage) => {
        const { topic } = await stage.declared()
        const driver = await stage.connect({ topology: 'check' })
        await driver.declare(topic, stage.signal)
        await stage.send(driver, stage.messages(topic, 1))
      },
    },
    {
      id: 'declare.namespaces-apart',
      says: 'two namespaces with a topic and a group of the same names see nothing of each other',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const other = await stage.connect({ namespace: `${stage.namespace}x` })
        stage.after(async () => stage.harness.cleanUp?.(`${stage.namespace}x`))
        await other.declare(topic, stage.signal)
        const member = await stage.open(other, topic)
        await stage.send(driver, stage.messages(topic, 2))
        await member.nothing()
        const mine = await stage.open(driver, topic)
        assert.equal((await mine.eat(2)).length, 2)
      },
    },
  ],
}
