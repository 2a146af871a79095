import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { locked } from './lock.ts'

test('one at a time, and a failure gives the lock back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-'))
  const file = join(folder, 'deep', 'lock')
  let inside = 0
  let most = 0
  const work = async () => {
    most = Math.max(most, ++inside)
    await new Promise((resolve) => setImmediate(resolve))
    inside--
    throw new Error('no')
  }
  const ends = await Promise.allSettled([1, 2, 3].map(() => locked(file, work)))
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(most).toBe(1)
  rmSync(folder, { recursive: true })
})
