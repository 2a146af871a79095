import { expect, test } from 'vitest'
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
