import { expect, test } from 'vitest'
import { newestFirst } from './ready.ts'

test('the newest start first, but who has waited for too long starts before them', () => {
  let now = 0
  const ready = newestFirst<number>(
    (sentAt) => sentAt,
    () => now,
    100,
  )
  const start = (): number | undefined => {
    const item = ready.next()
    if (item !== undefined) ready.drop()
    return item
  }
  for (const sentAt of [5, 1, 9]) ready.add(sentAt)
  expect([start(), ready.size()]).toEqual([9, 2])
  now = 60
  ready.add(7)
  expect(ready.takeOldest(1)).toEqual([1])
  now = 100
  // 5 came first of those that are here; 7 is newer, and has waited for 40.
  expect([start(), start(), start()]).toEqual([5, 7, undefined])
  // One that waits lets any number pass, and is not forgotten.
  ready.add(0)
  for (let sentAt = 10; sentAt < 1_010; sentAt++) {
    ready.add(sentAt)
    expect(start()).toBe(sentAt)
  }
  now = 200
  ready.add(2_000)
  expect(start()).toBe(0)
  expect(ready.clear()).toEqual([2_000])
})
