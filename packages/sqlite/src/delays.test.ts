import { type Clock, systemClock } from '@posthorn/core/driver'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

test('a message that was due when it was written is too late to cancel, not unknown', async () => {
  const driver = await connected(freshPath())
  await driver.declare(topicOf('t'), never)
  await driver.send([message('t', 'x', { id: 'late', notBefore: Date.now() - 1 })], { signal: never })
  expect(await driver.cancel?.('late', 't', undefined)).toBe('too-late')
  expect(await driver.reschedule?.('late', 't', Date.now() + 60_000, undefined)).toBe('too-late')
  expect(await driver.cancel?.('never sent', 't', undefined)).toBe('unknown')
  await driver.close()
})

test('what falls due while the machine sleeps comes soon after it woke, not when a timer that slept with it ends', async () => {
  let slept = 0
  const waits: { readonly ms: number; readonly call: () => void }[] = []
  const clock: Clock = {
    now: () => Date.now() + slept,
    after(ms, call, options) {
      waits.push({ ms, call })
      return systemClock.after(ms, call, options)
    },
  }
  const driver = await connected(freshPath(), 5_000, clock)
  await driver.declare(topicOf('t'), never)
  const hour = 3_600_000
  await driver.send([message('t', 'x', { notBefore: clock.now() + hour })], { signal: never })
  const source = await driver.open(membership(topicOf('t')), never)
  waits.length = 0
  const received = source.receive(1, never)
  await expect.poll(() => waits.length).toBeGreaterThan(0)
  slept = hour
  for (const { ms, call } of waits) if (ms <= 30_000) call()
  expect(texts(await received)).toBe('x')
  await driver.close()
})
