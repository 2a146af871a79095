import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAdapter } from '@posthorn/core'
import { describe, expect, test } from 'vitest'
import { durableBy } from './durable.ts'
import { sqlite } from './index.ts'

describe('what is committed', () => {
  test('while a flush is under way shares the next one, and is told when that has ended', async () => {
    const flushes: PromiseWithResolvers<void>[] = []
    const { settle } = durableBy(() => {
      const flush = Promise.withResolvers<void>()
      flushes.push(flush)
      return flush.promise
    })
    const told: string[] = []
    const tell = (name: string) => settle().then(() => void told.push(name))
    const all = [tell('first'), tell('second'), tell('third')]
    expect(flushes.length).toBe(1)
    flushes[0]?.resolve()
    await all[0]
    expect([told, flushes.length]).toEqual([['first'], 2])
    all.push(tell('fourth'))
    flushes[1]?.resolve()
    await Promise.all(all.slice(0, 3))
    expect([told, flushes.length]).toEqual([['first', 'second', 'third'], 3])
    flushes[2]?.resolve()
    await Promise.all(all)
  })

  test('is told of a flush that failed, and the next is tried anew', async () => {
    let times = 0
    const { settle, close } = durableBy(async () => {
      if (++times === 1) throw new Error('the disk is gone')
    })
    await expect(settle()).rejects.toThrow('the disk is gone')
    await settle()
    await close()
  })

  test('in one transaction frees the lock for the next before the disk has answered', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'posthorn-durable-'))
    try {
      await using broker = await connectAdapter(sqlite({ path: join(folder, 'a.db') }), { log: false })
      const { store } = broker
      await store.transaction((tx) => tx.query('create table t (n integer)'))
      let open = 0
      let most = 0
      let ended = 0
      const one = (n: number) =>
        store
          .transaction(async (tx) => {
            await tx.query('insert into t values ($1)', [n])
            most = Math.max(most, ++open)
          })
          .then(() => {
            open--
            ended++
          })
      await Promise.all(Array.from({ length: 50 }, (_, n) => one(n)))
      // Each counts itself as open until it is durable: where none waited for the disk beside another, there was one at most.
      expect(most).toBeGreaterThan(1)
      expect(ended).toBe(50)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
