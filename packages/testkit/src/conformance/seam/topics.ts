import assert from 'node:assert/strict'
import type { Driver, ListedTopic } from '@posthorn/core/driver'
import { isMessagingError } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'

const refused = async (stage: Stage): Promise<void> => {
  const driver = await stage.connect()
  assert.equal(driver.topics, undefined)
  assert.equal(driver.remove, undefined)
}
const listed = async (stage: Stage, driver: Driver): Promise<readonly ListedTopic[]> => {
  assert.ok(driver.topics !== undefined, 'it claims to list topics')
  const found = await driver.topics(stage.signal)
  return [...found].sort((a, b) => (a.name < b.name ? -1 : 1))
}
const remove = async (stage: Stage, driver: Driver, topic: string): Promise<void> => {
  assert.ok(driver.remove !== undefined, 'it claims to remove topics')
  await stage.within('the removal', stage.patienceMs, driver.remove(topic, stage.signal))
}

/** What operators see and take away. */
export const topics: Chapter = {
  name: 'topics',
  layer: 'seam',
  scenarios: [
    {
      id: 'topics.listed',
      says: 'every topic of the namespace is listed once, with its partitions and the groups that have read it, whoever declared it',
      needs: ['topics'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const { topic: other } = await stage.declared({ partitions: 3, groups: { 'a.b': 'key', c: 'none' } })
        const apart = await stage.connect({ namespace: `${stage.namespace}x` })
        stage.after(async () => stage.harness.cleanUp?.(`${stage.namespace}x`))
        await apart.declare(stage.topic(), stage.signal)
        await driver.declare(topic, stage.signal)
        for (const group of ['a.b', 'c']) await (await stage.open(driver, other, { group })).close()
        await (await stage.open(driver, topic)).close()
        assert.deepEqual(
          (await listed(stage, driver)).map((each) => ({ ...each, groups: [...each.groups].sort() })),
          [
            { name: topic.name, partitions: 2, groups: ['g'] },
            { name: other.name, partitions: 3, groups: ['a.b', 'c'] },
          ],
        )
      },
      refused,
    },
    {
      id: 'topics.removed',
      says: 'a topic that was removed is gone with its groups, messages and dead letters, and may be made anew, otherwise',
      needs: ['topics'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { g: 'key' } })
        const neighbour = stage.topic()
        await driver.declare(neighbour, stage.signal)
        const member = await stage.open(driver, topic)
        await stage.send(
          driver,
          stage.messages(topic, 3, (n) => ({ key: `${n}` })),
        )
        await member.eat(3)
        await member.close()
        await stage.send(driver, stage.messages(topic, 2))
        await stage.send(driver, [
          stage.message(topic, {
            group: 'g',
            letter: { reason: 'attempts', error: 'no', attempts: 1, at: stage.now() },
          }),
        ])
        await stage.send(driver, stage.messages(neighbour, 2))
        await remove(stage, driver, topic.name)
        assert.deepEqual(
          (await listed(stage, driver)).map(({ name }) => name),
          [neighbour.name],
        )
        const later = await stage.connect()
        const anew = { ...topic, partitions: topic.partitions + 1, groups: [] }
        await later.declare(anew, stage.signal)
        const fresh = await stage.open(later, anew, { order: 'none' })
        await stage.send(
          later,
          stage.messages(anew, 3, (n) => ({ body: Buffer.from(`new ${n}`) })),
        )
        const bodies = (await fresh.eat(3)).map(({ body }) => Buffer.from(body).toString())
        assert.deepEqual(bodies.sort(), ['new 0', 'new 1', 'new 2'])
        for await (const { message } of later.shelf(anew, 'g').list(stage.signal))
          assert.fail(`letter ${message.id} stayed`)
        assert.equal((await (await stage.open(driver, neighbour)).eat(2)).length, 2)
      },
      refused,
    },
    {
      id: 'topics.same-connection',
      says: 'the connection that removed a topic declares it again and sends to it',
      needs: ['topics'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, [stage.message(topic, { group: 'g', notBefore: stage.now() + 1 })])
        await stage.send(driver, stage.messages(topic, 2))
        await remove(stage, driver, topic.name)
        await driver.declare(topic, stage.signal)
        const member = await stage.open(driver, topic)
        const sent = [stage.message(topic), stage.message(topic, { group: 'g' })]
        await stage.send(driver, sent)
        const ids = (await member.eat(2)).map(({ id }) => id)
        assert.deepEqual(ids.sort(), sent.map(({ id }) => id).sort())
      },
      refused,
    },
    {
      id: 'topics.not-there',
      says: 'removing a topic that is not there is refused with not-found',
      needs: ['topics'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await assert.rejects(remove(stage, driver, stage.name()), (error) => isMessagingError(error, 'not-found'))
        assert.equal((await listed(stage, driver)).length, 1)
        await stage.send(driver, stage.messages(topic, 1))
      },
      refused,
    },
    {
      id: 'topics.in-hand',
      says: 'a topic whose messages a member has in hand is not removed, and nothing of it is touched',
      needs: ['topics'],
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        await stage.send(driver, stage.messages(topic, 2))
        const inHand = await member.hold(2)
        await assert.rejects(remove(stage, await stage.connect(), topic.name), (error) =>
          isMessagingError(error, 'invalid'),
        )
        await stage.send(driver, stage.messages(topic, 1))
        await member.ack(inHand)
        assert.equal((await member.eat(1)).length, 1)
      },
      refused,
    },
  ],
}
