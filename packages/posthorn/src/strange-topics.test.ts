// A relay sends what another process has put away, also where it has never seen the topic: the row says what is to be declared.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ensure } from '../../../scripts/brokers/lifecycle.ts'
import { connect, topic } from './index.ts'

it.each(['rabbitmq', 'kafka'])(
  'on %s, what waits in the store for a topic that no living process knows is sent to the groups that it named, by key',
  { timeout: 60_000 },
  async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'posthorn-strange-'))
    const options = {
      log: false,
      namespace: `strange${Date.now()}`,
      store: `sqlite:${join(folder, 'app.db')}`,
      singleHost: true,
    } as const
    const url = await ensure(name)
    const placed = topic<string>('placed', { key: (body) => body.slice(0, 1), partitions: 4, groups: ['billing'] })
    const bodies = ['a1', 'b1', 'c1', 'd1', 'a2', 'b2', 'c2', 'd2']

    const gone = await connect(url, options)
    for (const body of bodies) await gone.producer().send(placed, body, { delayMs: 1_000 })
    await gone.close()

    const stranger = await connect(url, options)
    await expect
      .poll(async () => (await stranger.health()).checks.find((each) => each.name === 'held')?.detail, {
        timeout: 20_000,
      })
      .toMatch(/^0 to be sent/)
    await stranger.close()

    const reader = await connect(url, options)
    const seen: string[] = []
    await reader.consume(placed, { group: 'billing' }, async ({ body }) => void seen.push(body))
    await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(bodies.length)
    expect(seen.sort()).toEqual(bodies.toSorted())
    await reader.close()
    rmSync(folder, { recursive: true })
  },
)
