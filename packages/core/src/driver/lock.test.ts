import { expect, test } from 'vitest'
import { type ManualClock, manualClock } from '../../test/manual-clock.ts'
import { MessagingError } from '../errors.ts'
import { lockWith } from './lock.ts'
import type { Claims } from './store.ts'

/** Holds a lock of 30 s whose renewals are the test's, until the test ends its work. */
function holding(clock: ManualClock, renew: () => Promise<boolean>) {
  const claims = { acquire: async () => ({ status: 'fresh', token: 1 }), renew, release: async () => true }
  const work = Promise.withResolvers<string>()
  let signal: AbortSignal | undefined
  const locked = lockWith(claims as Partial<Claims> as Claims, clock, 'l', { ttlMs: 30_000 }, (lock) => {
    signal = lock.signal
    return work.promise
  })
  return { locked, end: () => work.resolve('done'), lost: () => signal?.reason as MessagingError | undefined }
}

test('a lock whose renewal is under way when its work ends leaves no timer behind', async () => {
  const clock = manualClock()
  const renewal = Promise.withResolvers<boolean>()
  const { locked, end } = holding(clock, () => renewal.promise)
  await clock.advance(10_000)
  end()
  expect(await locked).toBe('done')
  renewal.resolve(true)
  await clock.advance(0)
  expect(clock.armed).toBe(0)
})

test('a store that is away for a moment loses no lock; one that is away for as long as the lock holds does', async () => {
  const clock = manualClock()
  let away = true
  const { locked, end, lost } = holding(clock, async () => {
    if (away) throw new MessagingError('unavailable', 'the store is away')
    return true
  })
  await clock.advance(12_000)
  away = false
  await clock.advance(60_000)
  expect(lost()).toBe(undefined)
  away = true
  await clock.advance(31_000)
  expect(lost()).toMatchObject({ code: 'stale', message: 'the lock l was lost: another may hold it by now' })
  end()
  expect(await locked).toBe('done')
  expect(clock.armed).toBe(0)
})
