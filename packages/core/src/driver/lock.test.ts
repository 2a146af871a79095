import { expect, test } from 'vitest'
import { manualClock } from '../../test/manual-clock.ts'
import { lockWith } from './lock.ts'
import type { Claims } from './store.ts'

test('a lock whose renewal is under way when its work ends leaves no timer behind', async () => {
  const clock = manualClock()
  const renewal = Promise.withResolvers<boolean>()
  let renewals = 0
  const claims = {
    acquire: async () => ({ status: 'fresh', token: 1 }),
    renew: () => {
      renewals++
      return renewal.promise
    },
    release: async () => true,
  } satisfies Partial<Claims>
  const work = Promise.withResolvers<string>()
  const locked = lockWith(claims as Partial<Claims> as Claims, clock, 'l', { ttlMs: 30_000 }, () => work.promise)
  await clock.advance(10_000)
  expect(renewals).toBe(1)
  work.resolve('done')
  expect(await locked).toBe('done')
  renewal.resolve(true)
  await clock.advance(0)
  expect(clock.armed).toBe(0)
})
