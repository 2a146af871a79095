import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

test.each(['fresh', 'returned', 'prioritized'])(
  'a member takes few large messages (%s) at a time, whatever its window, and all of them in order',
  async (how) => {
    const driver = await connected({ path: freshPath(), synchronous: 'normal' })
    const topic = topicOf('t', { groups: [{ name: 'g', order: 'key', filter: undefined }], keyed: true })
    await driver.declare(topic, never)
    const pad = 'x'.repeat(500_000)
    const over = how === 'prioritized' ? { priority: 4 } : {}
    const batch = Array.from({ length: 60 }, (_, n) => message('t', `${n} ${pad}`, { key: `k${n % 3}`, ...over }))
    await driver.send(batch, { signal: never })
    if (how === 'returned') {
      const former = await driver.open(membership(topic, { order: 'key', window: 200 }), never)
      await former.receive(100, never)
      const stop = new AbortController()
      const more = former.receive(100, stop.signal)
      // All others are taken in, behind those in hand.
      const known = driver.client.database.prepare('SELECT count(*) AS n FROM posthorn_delivery')
      await expect.poll(() => known.get()?.['n']).toBe(60)
      stop.abort()
      expect(await more).toEqual([])
      await former.close()
    }
    const source = await driver.open(membership(topic, { order: 'key', window: 200 }), never)
    const got: string[] = []
    while (got.length < 60) {
      const some = await source.receive(100, never)
      expect(some.length).toBeLessThan(30)
      got.push(
        ...texts(some)
          .split(' ')
          .filter((each) => /^\d+$/.test(each)),
      )
      await source.settle(some.map(({ token }) => ({ token, verdict: 'ack' })))
    }
    for (const lane of [0, 1, 2]) {
      const ofLane = got.map(Number).filter((n) => n % 3 === lane)
      expect(ofLane).toEqual(Array.from({ length: 20 }, (_, n) => 3 * n + lane))
    }
    await driver.close()
  },
)
