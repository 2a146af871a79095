import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { sqlOf } from './sql.ts'
import { addTopic, mostTopics } from './topic-rows.ts'

test('a topic that comes does not get the number of one that just went: who still reads the old one reads nothing of it', async () => {
  const driver = await connected(freshPath())
  const send = (name: string): Promise<unknown> =>
    driver.send(
      ['1', '2', '3'].map((text) => message(name, `${name}${text}`)),
      { signal: never },
    )
  await driver.declare(topicOf('old'), never)
  await send('old')
  const replay = await driver.open(membership(topicOf('old'), { mode: 'replay', group: 'r' }), never)
  expect(texts(await replay.receive(1, never))).toBe('old1')
  await driver.remove?.('old', never)
  await driver.declare(topicOf('new'), never)
  await send('new')
  expect(await replay.receive(10, never)).toEqual([])
  await driver.close()
})

test('numbers of topics that are gone are given again once all were given, and only a file full of topics refuses one', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.close()
  const database = new DatabaseSync(path)
  const sql = sqlOf(database)
  const add = (name: string): number => addTopic(sql, '', name, undefined).id
  const remove = (...ids: number[]): void => {
    for (const id of ids) sql.run('DELETE FROM posthorn_topic WHERE id = ?', id)
  }
  sql.run(
    `WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < ?)
    INSERT INTO posthorn_topic (id, ns, name) SELECT id, '', 't' || id FROM n`,
    mostTopics - 1,
  )
  expect(add('the last')).toBe(mostTopics)
  expect(() => add('one more')).toThrow(/16383 topics.*topics\.delete/)
  remove(7, 5, 900)
  expect([add('a'), add('b')]).toEqual([5, 7])
  remove(5)
  // What went last is given last.
  expect([add('c'), add('d')]).toEqual([900, 5])
  database.close()
})
