import { StatementSync } from 'node:sqlite'
import { expect, test, vi } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

test('a topic of a pattern that is never empty keeps no other topic of it waiting', async () => {
  const driver = await connected(freshPath())
  for (const name of ['busy.x', 'quiet.x']) await driver.declare(topicOf(name, { groups: [] }), never)
  const source = await driver.open(membership({ pattern: '*.x' }, { window: 5 }), never)
  const rush = (): Promise<unknown> =>
    driver.send(
      Array.from({ length: 5 }, () => message('busy.x', 'busy')),
      { signal: never },
    )
  for (let n = 0; n < 4; n++) await rush()
  await driver.send([message('quiet.x', 'quiet')], { signal: never })
  const seen: string[] = []
  // Each time as much comes as goes.
  for (let n = 0; n < 4 && !seen.includes('quiet'); n++) {
    const got = await source.receive(5, never)
    seen.push(...texts(got).split(' '))
    await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
    await rush()
  }
  expect(seen).toContain('quiet')
  await driver.close()
})

test('a pattern of a thousand topics reads on only in those that have something new', async () => {
  const driver = await connected({ path: freshPath(), synchronous: 'normal' })
  const names = Array.from({ length: 1_000 }, (_, n) => `t${n}.x`)
  await Promise.all(names.map((name) => driver.declare(topicOf(name, { groups: [] }), never)))
  const source = await driver.open(membership({ pattern: '*.x' }), never)
  const reads = vi.spyOn(StatementSync.prototype, 'all')
  await driver.send([message('t7.x', '1'), message('t900.x', '2')], { signal: never })
  expect(
    texts(await source.receive(10, never))
      .split(' ')
      .sort(),
  ).toEqual(['1', '2'])
  expect(reads.mock.calls.length).toBeLessThan(50)
  reads.mockRestore()
  await driver.close()
})
