import { expect, test } from 'vitest'
import { connected, freshPath, membership, never, topicOf } from '../test/stage.ts'

test('who reads alone by broadcast is not listed as a group, and does not keep a topic from being ended', async () => {
  const driver = await connected(freshPath())
  const topic = topicOf('t')
  await driver.declare(topic, never)
  await driver.open(membership(topic, { mode: 'broadcast', group: 'screen.4711', from: 'latest' }), never)
  expect(await driver.topics?.(never)).toEqual([{ name: 't', partitions: 1, groups: ['g'] }])
  await driver.remove?.('t', never)
  expect(await driver.topics?.(never)).toEqual([])
  await driver.close()
})
