import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

test('a replay that a filter leaves little of gives others their turns while it reads', async () => {
  const driver = await connected({ path: freshPath(), synchronous: 'normal' })
  const topic = topicOf('orders')
  await driver.declare(topic, never)
  const some = (count: number, tag: string) => Array.from({ length: count }, () => message('orders', tag, { tag }))
  await driver.send([...some(5_000, 'no'), ...some(1, 'yes'), ...some(600, 'no'), ...some(1, 'yes')], { signal: never })
  const source = await driver.open(membership(topic, { mode: 'replay', filter: { tag: 'yes' } }), never)
  let turns = 0
  let over = false
  const count = (): void => {
    turns++
    if (!over) setImmediate(count)
  }
  setImmediate(count)
  const first = await source.receive(1, never)
  over = true
  expect(texts(first)).toBe('yes')
  expect(turns).toBeGreaterThan(5)
  expect(texts(await source.receive(10, never))).toBe('yes')
  expect(await source.receive(10, never)).toEqual([])
  await driver.close()
})
