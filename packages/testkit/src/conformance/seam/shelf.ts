import assert from 'node:assert/strict'
import type { Driver, Letter, ShelvedLetter, TopicSpec } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'

const letter: Letter = { reason: 'attempts', error: 'Error: "no" ✂\nat x', attempts: 5, at: 1_700_000_000_000 }

/** The shelf of dead letters. */
export const shelf: Chapter = {
  name: 'shelf',
  layer: 'seam',
  scenarios: [
    {
      id: 'shelf.put-and-list',
      says: 'a letter lies on its shelf with its message, its cause and its group, and no consumer gets it',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const member = await stage.open(driver, topic)
        const history = [{ attempt: 1, at: 1_700_000_000_000, error: 'one' }]
        const sent = stage.message(topic, {
          group: 'g',
          letter,
          key: 'k',
          tag: 't',
          headers: { a: '1' },
          body: Buffer.from([0, 255, 10]),
          failures: 5,
          history,
        })
        await stage.send(driver, [sent])
        const [shelved, ...more] = await listed(stage, driver, topic, 'g', 1)
        assert.equal(more.length, 0)
        assert.deepEqual(shelved?.letter, letter)
        assert.equal(shelved?.group, 'g')
        assert.equal(shelved?.message.id, sent.id)
        assert.equal(shelved?.message.topic, topic.name)
        assert.equal(shelved?.message.key, 'k')
        assert.equal(shelved?.message.tag, 't')
        assert.deepEqual({ ...shelved?.message.headers }, { a: '1' })
        assert.deepEqual([...(shelved?.message.body ?? [])], [0, 255, 10])
        assert.equal(shelved?.message.failures, 5)
        assert.deepEqual(shelved?.message.history, history)
        await member.nothing()
      },
    },
    {
      id: 'shelf.listing-takes-nothing',
      says: 'letters are listed oldest first, and are still there for the next who lists',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        for (let n = 0; n < 4; n++)
          await stage.send(driver, [stage.message(topic, { group: 'g', letter, body: Buffer.from(`${n}`) })])
        for (let n = 0; n < 2; n++) {
          const found = await listed(stage, driver, topic, 'g', 4)
          assert.equal(found.map(({ message }) => Buffer.from(message.body).toString()).join(''), '0123')
        }
      },
    },
    {
      id: 'shelf.remove',
      says: 'removing takes those letters and no others; removing again is no error',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(
          driver,
          stage.messages(topic, 5, () => ({ group: 'g', letter })),
        )
        const open = driver.shelf(topic, 'g')
        await stage.until('all are there', async () => (await listed(stage, driver, topic, 'g')).length === 5)
        const all: ShelvedLetter[] = []
        for await (const each of open.list(stage.signal)) {
          all.push(each)
          if (all.length < 5) continue
          const some = [all[1]?.token, all[3]?.token]
          await open.remove(some, stage.signal)
          await open.remove(some, stage.signal)
        }
        const rest = await listed(stage, driver, topic, 'g', 3)
        const gone = new Set([all[1]?.message.id, all[3]?.message.id])
        assert.ok(rest.every(({ message }) => !gone.has(message.id)))
      },
    },
    {
      id: 'shelf.groups-apart',
      says: 'each group has its own shelf, and so have messages of no group',
      run: async (stage) => {
        const { driver, topic } = await stage.declared({ groups: { a: 'none', b: 'none' } })
        await stage.send(driver, [
          stage.message(topic, { group: 'a', letter, body: Buffer.from('a') }),
          stage.message(topic, { group: 'b', letter, body: Buffer.from('b') }),
          stage.message(topic, { letter: { ...letter, reason: 'unroutable' }, body: Buffer.from('none') }),
        ])
        for (const [group, text] of [
          ['a', 'a'],
          ['b', 'b'],
          [undefined, 'none'],
        ] as const) {
          const found = await listed(stage, driver, topic, group, 1)
          assert.deepEqual(
            found.map(({ message }) => Buffer.from(message.body).toString()),
            [text],
          )
        }
      },
    },
    {
      id: 'shelf.survives-its-connection',
      says: 'letters outlive the connection that put them there',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(driver, [stage.message(topic, { group: 'g', letter })])
        await driver.close()
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        assert.equal((await listed(stage, other, topic, 'g', 1)).length, 1)
      },
    },
    {
      id: 'shelf.empty',
      says: 'an empty shelf lists nothing and ends',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        const found = await stage.within('the list', stage.patienceMs, listed(stage, driver, topic, 'g'))
        assert.equal(found.length, 0)
      },
    },
    {
      id: 'shelf.ends-while-filled',
      says: 'a list is as of now: it ends though letters come',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(
          driver,
          stage.messages(topic, 3, () => ({ group: 'g', letter })),
        )
        await listed(stage, driver, topic, 'g', 3)
        let seen = 0
        const list = async (): Promise<void> => {
          for await (const _ of driver.shelf(topic, 'g').list(stage.signal)) {
            seen++
            if (seen <= 20) await stage.send(driver, [stage.message(topic, { group: 'g', letter })])
          }
        }
        await stage.within('the list', stage.patienceMs, list())
        assert.ok(seen >= 3 && seen <= 20, `${seen} were listed`)
      },
    },
    {
      id: 'shelf.listed-at-once',
      says: 'two who list at the same time each see all letters',
      run: async (stage) => {
        const { driver, topic } = await stage.declared()
        await stage.send(
          driver,
          stage.messages(topic, 6, () => ({ group: 'g', letter })),
        )
        const other = await stage.connect()
        await other.declare(topic, stage.signal)
        await stage.until('all are there', async () => (await listed(stage, driver, topic, 'g')).length === 6)
        await stage.until('both see all', async () => {
          const [a, b] = await Promise.all([listed(stage, driver, topic, 'g'), listed(stage, other, topic, 'g')])
          return a.length === 6 && b.length === 6
        })
      },
    },
  ],
}

/** All letters, after waiting until there are `count`, where one is given. */
async function listed(
  stage: Stage,
  driver: Driver,
  topic: TopicSpec,
  group: string | undefined,
  count?: number,
): Promise<ShelvedLetter[]> {
  const once = async (): Promise<ShelvedLetter[]> => {
    const found: ShelvedLetter[] = []
    for await (const each of driver.shelf(topic, group).list(stage.signal)) found.push(each)
    return found
  }
  if (count === undefined) return once()
  return stage.until(`${count} letters of ${group ?? 'no group'}`, async () => {
    const found = await once()
    return found.length >= count ? found : undefined
  })
}
