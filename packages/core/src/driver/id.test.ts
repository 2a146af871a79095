import { expect, test } from 'vitest'
import { newId } from './id.ts'

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('ids are UUIDv7, all different, and rise, whatever the clock does', () => {
  const start = 1_900_000_000_000
  const seen = new Set<string>()
  let last = ''
  for (let n = 0; n < 50_000; n++) {
    // More than 4,096 in a millisecond, and a clock that is set back now and then.
    const id = newId(start + Math.floor(n / 9_000) - (n % 7 === 0 ? 60_000 : 0))
    if (id <= last || !form.test(id)) expect.unreachable(`${id} after ${last}`)
    last = id
    seen.add(id)
  }
  expect(seen.size).toBe(50_000)
})

test('an id tells its time', () => {
  const ms = 2_000_000_000_123
  expect(Number.parseInt(newId(ms).replaceAll('-', '').slice(0, 12), 16)).toBe(ms)
})
