import assert from 'node:assert/strict'
import { inboxSpace, isMessagingError } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'
import { hasNoStore, portsOf } from '../store-stage.ts'

/** Names taken in a store: inbox rows, leases, locks, buckets. */
export const claiming: Chapter = {
  name: 'stores: claims',
  layer: 'seam',
  scenarios: [
    {
      id: 'stores.inbox-once',
      says: 'a message is new once: the second time, also at once, it is not; after a roll-back it is again',
      needs: ['a store'],
      run: async (stage) => {
        const { store, claims } = await portsOf(stage)
        const space = inboxSpace('g', 't')
        const once = (name: string, fail = false): Promise<boolean> =>
          store.transaction(async (tx) => {
            const fresh = await claims.once(space, name, 60_000, tx)
            if (fail) throw new Error('rolled back')
            return fresh
          })
        await assert.rejects(once('m', true), /rolled back/)
        assert.equal(await once('m'), true)
        assert.equal(await once('m'), false)
        const many = await Promise.all(Array.from({ length: 6 }, () => once('n')))
        assert.equal(many.filter(Boolean).length, 1)
        await claims.forget(space)
        assert.equal(await once('m'), true)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.inbox-expires',
      says: 'an inbox row that was kept long enough is as if it had never been',
      needs: ['a store'],
      run: async (stage) => {
        const { store, claims } = await portsOf(stage)
        const once = (): Promise<boolean> => store.transaction((tx) => claims.once('s', 'm', 100, tx))
        assert.equal(await once(), true)
        await stage.pass(150)
        assert.equal(await once(), true)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.lease',
      says: 'a name has one owner; its tokens rise; a former owner can neither renew nor free it',
      needs: ['a store'],
      run: async (stage) => {
        const { claims } = await portsOf(stage)
        const first = await claims.acquire('lock', 'n', 'a', 60_000)
        assert.ok(first.status === 'fresh')
        const busy = await claims.acquire('lock', 'n', 'b', 100)
        assert.ok(busy.status === 'busy' && busy.owner === 'a' && busy.untilMs > stage.now() - 1_000)
        assert.equal(await claims.renew('lock', 'n', first.token, 150), true)
        await stage.pass(200)
        const second = await claims.acquire('lock', 'n', 'b', 60_000)
        assert.ok(second.status === 'fresh' && second.token > first.token)
        assert.equal(await claims.renew('lock', 'n', first.token, 60_000), false)
        assert.equal(await claims.release('lock', 'n', first.token), false)
        assert.equal(await claims.release('lock', 'n', second.token), true)
        const third = await claims.acquire('lock', 'n', 'c', 60_000)
        assert.ok(third.status === 'fresh' && third.token > second.token)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.claim-done',
      says: 'a finished claim answers with its result until it is forgotten',
      needs: ['a store'],
      run: async (stage) => {
        const { claims } = await portsOf(stage)
        const first = await claims.acquire('work', 'n', 'a', 60_000)
        assert.ok(first.status === 'fresh')
        assert.equal(await claims.finish('work', 'n', first.token, '{"sum":1}', 60_000), true)
        assert.deepEqual(await claims.acquire('work', 'n', 'b', 60_000), { status: 'done', result: '{"sum":1}' })
        assert.equal(await claims.finish('work', 'n', first.token, undefined, 60_000), false)
        const other = await claims.acquire('elsewhere', 'n', 'b', 60_000)
        assert.equal(other.status, 'fresh')
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.acquire-at-once',
      says: 'of many who want a name at once one gets it',
      needs: ['a store'],
      run: async (stage) => {
        const [{ claims }, other] = [await portsOf(stage), await portsOf(stage)]
        const found = await Promise.all(
          Array.from({ length: 8 }, (_, n) =>
            (n % 2 === 0 ? claims : other.claims).acquire('lock', 'n', `o${n}`, 60_000),
          ),
        )
        assert.equal(found.filter(({ status }) => status === 'fresh').length, 1)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.bucket',
      says: 'a bucket gives its burst, then says how long to wait',
      needs: ['a store'],
      run: async (stage) => {
        const { claims } = await portsOf(stage)
        const rate = { perSecond: 2, burst: 3 }
        const waits: number[] = []
        for (let n = 0; n < 4; n++) waits.push(await claims.take('rate', 'n', rate))
        assert.deepEqual(waits.slice(0, 3), [0, 0, 0])
        const wait = waits[3] ?? 0
        assert.ok(wait > 0 && wait <= 500, `${wait}`)
        await stage.pass(wait + 5)
        assert.equal(await claims.take('rate', 'n', rate), 0)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.lock',
      says: 'a lock lets one in at a time, and who waits gets in when it is free',
      needs: ['a store'],
      run: async (stage) => {
        const { store } = await portsOf(stage)
        let inside = 0
        let most = 0
        const tokens: number[] = []
        await Promise.all(
          Array.from({ length: 4 }, () =>
            store.lock('door', { ttlMs: 5_000, waitMs: stage.patienceMs }, async ({ token }) => {
              most = Math.max(most, ++inside)
              tokens.push(token)
              await new Promise((resolve) => setImmediate(resolve))
              inside--
            }),
          ),
        )
        assert.equal(most, 1)
        assert.deepEqual(
          tokens,
          [...tokens].sort((a, b) => a - b),
        )
        await store.lock('door', { ttlMs: 5_000 }, async () => {
          await assert.rejects(
            store.lock('door', { ttlMs: 5_000 }, async () => {}),
            (error) => isMessagingError(error, 'timeout'),
          )
        })
      },
      refused: hasNoStore,
    },
  ],
}
