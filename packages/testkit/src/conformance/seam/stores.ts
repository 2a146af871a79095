import assert from 'node:assert/strict'
import type { HeldRow } from '@posthorn/core/driver'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'
import { hasNoStore, portsOf } from '../store-stage.ts'

/** Messages held in a store. */
export const stores: Chapter = {
  name: 'stores: held',
  layer: 'seam',
  scenarios: [
    {
      id: 'stores.held-once',
      says: 'a row that is there is left as it is, and comes back whole',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        const topic = stage.topic({ groups: { g: 'key', h: 'none' }, partitions: 4 })
        const first = row(stage, 'a', { lane: 'l', tries: 2, topic })
        await held.insert([first])
        await held.insert([row(stage, 'a', { tries: 9 }), row(stage, 'b')])
        const got = await held.get(first.ref)
        assert.equal(got?.tries, 2)
        assert.equal(got?.lane, 'l')
        assert.equal(got?.message.id, first.message.id)
        assert.deepEqual([...(got?.message.body ?? [])], [...first.message.body])
        // What is undefined may be absent.
        assert.equal(JSON.stringify(got?.topic), JSON.stringify(topic))
        assert.equal((await held.get('b'))?.topic, undefined)
        assert.equal(await held.count('ready'), 2)
        assert.equal(await held.count('ready', 'l'), 1)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.claim-due',
      says: 'a claim takes what is due, oldest due first, and no more than was asked for',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        const now = stage.now()
        await held.insert([
          row(stage, 'late', { dueAt: now + 60_000 }),
          row(stage, 'second', { dueAt: now - 10 }),
          row(stage, 'first', { dueAt: now - 20 }),
          row(stage, 'parked', { state: 'parked', dueAt: now - 99 }),
        ])
        assert.equal(await held.nextDue('ready'), now - 20)
        const one = await held.claim({ state: 'ready', now, max: 1, leaseMs: 60_000 })
        assert.deepEqual(
          one.map(({ ref }) => ref),
          ['first'],
        )
        const rest = await held.claim({ state: 'ready', now, max: 10, leaseMs: 60_000 })
        assert.deepEqual(
          rest.map(({ ref }) => ref),
          ['second'],
        )
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.claim-one-winner',
      says: 'of many who claim at once each row has one winner',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        const other = (await portsOf(stage)).held
        await held.insert(Array.from({ length: 20 }, (_, n) => row(stage, `r${n}`)))
        const claims = await Promise.all(
          Array.from({ length: 8 }, (_, n) =>
            (n % 2 === 0 ? held : other).claim({ state: 'ready', now: stage.now(), max: 5, leaseMs: 60_000 }),
          ),
        )
        const refs = claims.flat().map(({ ref }) => ref)
        assert.equal(refs.length, 20)
        assert.equal(new Set(refs).size, 20)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.lanes',
      says: 'of a lane only the first may be claimed, and the next when it has left',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        const now = stage.now()
        await held.insert([
          row(stage, '1', { lane: 'l', dueAt: now - 1 }),
          row(stage, '2', { lane: 'l', dueAt: now - 50 }),
          row(stage, 'x', { dueAt: now - 5 }),
        ])
        const ask = async (): Promise<string> =>
          (await held.claim({ state: 'ready', now, max: 10, leaseMs: 60_000 })).map(({ ref }) => ref).join(' ')
        assert.equal(await ask(), 'x 1')
        assert.equal(await ask(), '')
        assert.equal(await held.change('1', { state: 'ready', fence: 1 }, undefined), true)
        assert.equal(await ask(), '2')
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.lane-waits-for-its-first',
      says: 'a lane whose first is not due yet waits for it, though later ones are',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        const now = stage.now()
        await held.insert([row(stage, '1', { lane: 'l', dueAt: now + 60_000 }), row(stage, '2', { lane: 'l' })])
        assert.equal((await held.claim({ state: 'ready', now, max: 10, leaseMs: 1_000 })).length, 0)
        // Who sleeps until then is not woken in vain by those behind it.
        assert.equal(await held.nextDue('ready'), now + 60_000)
        assert.equal(await held.change('1', { state: 'ready' }, { state: 'ready', dueAt: now }), true)
        const [first] = await held.claim({ state: 'ready', now, max: 10, leaseMs: 1_000 })
        assert.equal(first?.ref, '1')
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.lease-runs-out',
      says: 'a row whose lease ran out is claimed by another under a higher fence, and the first can change it no more',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        await held.insert([row(stage, 'a')])
        const now = stage.now()
        const [first] = await held.claim({ state: 'ready', now, max: 1, leaseMs: 50 })
        assert.ok(first !== undefined)
        assert.equal((await held.claim({ state: 'ready', now: now + 10, max: 1, leaseMs: 50 })).length, 0)
        const [second] = await held.claim({ state: 'ready', now: now + 60, max: 1, leaseMs: 60_000 })
        assert.ok(second !== undefined && second.fence > first.fence)
        assert.equal(await held.change('a', { state: 'ready', fence: first.fence }, undefined), false)
        assert.equal(await held.change('a', { state: 'ready' }, undefined), false)
        assert.equal(await held.change('a', { state: 'ready', fence: second.fence }, undefined), true)
        assert.equal(await held.get('a'), undefined)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.change',
      says: 'a change expects a state: it moves the row from it once, and keeps its place in order',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        const now = stage.now()
        await held.insert([
          row(stage, 'a', { state: 'parked', lane: 'l' }),
          row(stage, 'b', { state: 'parked', lane: 'l' }),
        ])
        assert.equal(await held.change('a', { state: 'ready' }, undefined), false)
        for (const ref of ['b', 'a'])
          assert.equal(await held.change(ref, { state: 'parked' }, { state: 'ready', dueAt: now, tries: 3 }), true)
        const rows = await held.range({ state: 'ready', lane: 'l', max: 10 })
        assert.deepEqual(
          rows.map(({ ref, tries }) => `${ref}${tries}`),
          ['a3', 'b3'],
        )
        assert.equal(await held.count('parked'), 0)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.range',
      says: 'rows are read page by page in order of insertion, also where the last of a page has left meanwhile',
      needs: ['a store'],
      run: async (stage) => {
        const { held } = await portsOf(stage)
        await held.insert(Array.from({ length: 7 }, (_, n) => row(stage, `r${n}`, { state: 'parked' })))
        const first = await held.range({ state: 'parked', max: 3 })
        assert.equal(await held.change('r2', { state: 'parked' }, undefined), true)
        const second = await held.range({ state: 'parked', max: 9, after: first.at(-1)?.ref })
        assert.equal([...first, ...second].map(({ ref }) => ref).join(' '), 'r0 r1 r2 r3 r4 r5 r6')
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.held-in-a-transaction',
      says: 'rows of a transaction are there when it commits, and never when it rolls back',
      needs: ['a store'],
      run: async (stage) => {
        const { store, held } = await portsOf(stage)
        await store.transaction(async (tx) => held.insert([row(stage, 'kept')], tx))
        await assert.rejects(
          store.transaction(async (tx) => {
            await held.insert([row(stage, 'lost')], tx)
            assert.equal((await held.get('lost', tx))?.ref, 'lost')
            await held.change('kept', { state: 'ready' }, undefined, tx)
            throw new Error('rolled back')
          }),
          /rolled back/,
        )
        assert.equal((await held.get('kept'))?.ref, 'kept')
        assert.equal(await held.get('lost'), undefined)
        assert.equal(await held.count('ready'), 1)
      },
      refused: hasNoStore,
    },
    {
      id: 'stores.watch',
      says: 'who watches hears of a commit that may have made rows due, until it stops',
      needs: ['a store'],
      run: async (stage) => {
        const { store, held } = await portsOf(stage)
        let calls = 0
        const stop = held.watch(() => {
          calls++
        })
        await store.transaction(async (tx) => held.insert([row(stage, 'a')], tx))
        await stage.until('the watcher was called', () => calls > 0)
        stop()
        const before = calls
        await held.insert([row(stage, 'b')])
        await stage.pass(20)
        assert.equal(calls, before)
      },
      refused: hasNoStore,
    },
  ],
}

function row(stage: Stage, ref: string, over: Partial<HeldRow> = {}): HeldRow {
  return {
    ref,
    state: 'ready',
    message: stage.message('t', { id: ref, body: Buffer.from([0, 200, 7]), key: 'k', headers: { a: 'ä' } }),
    lane: undefined,
    dueAt: stage.now() - 1,
    topic: undefined,
    tries: 0,
    ...over,
  }
}
