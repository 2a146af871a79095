import { expect, test } from 'vitest'
import { connected, freshPath, message, never, topicOf } from '../test/stage.ts'

test('a message that was due when it was written is too late to cancel, not unknown', async () => {
  const driver = await connected(freshPath())
  await driver.declare(topicOf('t'), never)
  await driver.send([message('t', 'x', { id: 'late', notBefore: Date.now() - 1 })], { signal: never })
  expect(await driver.cancel?.('late', 't', undefined)).toBe('too-late')
  expect(await driver.reschedule?.('late', 't', Date.now() + 60_000, undefined)).toBe('too-late')
  expect(await driver.cancel?.('never sent', 't', undefined)).toBe('unknown')
  await driver.close()
})
