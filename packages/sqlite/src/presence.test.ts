import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isMessagingError } from '@posthorn/core'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

const gone = (error: unknown): boolean =>
  isMessagingError(error, 'unavailable') && /is no longer the file that was opened.*connect again/.test(error.message)

test.each(['deleted', 'replaced'])(
  'a file that is %s while it is open takes nothing more, and says so',
  async (how) => {
    const path = freshPath()
    const driver = await connected(path)
    await driver.declare(topicOf('t'), never)
    await driver.send([message('t', 'kept')], { signal: never })
    const copy = join(path, '..', 'copy.db')
    await driver.client.backup(copy)
    const waiting = await driver.open(membership(topicOf('t'), { group: 'latest', from: 'latest' }), never)
    const received = expect(waiting.receive(1, never)).rejects.toSatisfy(gone)
    const open = driver.store?.transaction(async (tx) => {
      await tx.query('SELECT 1')
      await received
    })
    const ended = expect(open).rejects.toSatisfy(gone)
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`)
    if (how === 'replaced') renameSync(copy, path)
    await ended
    await expect(driver.send([message('t', 'lost')], { signal: never })).rejects.toSatisfy(gone)
    expect((await driver.health()).find(({ name }) => name === 'file')).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/is no longer the file/),
    })
    // Nothing is made in its place, until somebody connects.
    expect(existsSync(path)).toBe(how === 'replaced')
    const again = await connected(path)
    await again.declare(topicOf('t'), never)
    await again.send([message('t', 'new')], { signal: never })
    const source = await again.open(membership(topicOf('t')), never)
    expect(texts(await source.receive(9, never))).toBe(how === 'replaced' ? 'kept new' : 'new')
    await driver.close()
    await again.send([message('t', 'goes on')], { signal: never })
    await again.close()
  },
)

test.each(['-wal', '-shm'])(
  'a file whose %s is deleted while it is open takes nothing more until all have closed it, and keeps what was acknowledged',
  async (end) => {
    const path = freshPath()
    const driver = await connected(path)
    await driver.declare(topicOf('t'), never)
    await driver.send([message('t', 'before')], { signal: never })
    rmSync(`${path}${end}`)
    await driver.send([message('t', 'behind')], { signal: never })
    const halved = (error: unknown): boolean =>
      isMessagingError(error, 'unavailable') && error.message.includes(`${path}${end} was deleted or replaced`)
    const waiting = await driver.open(membership(topicOf('t'), { group: 'latest', from: 'latest' }), never)
    await expect(waiting.receive(1, never)).rejects.toSatisfy(halved)
    await expect(driver.send([message('t', 'refused')], { signal: never })).rejects.toSatisfy(halved)
    // Its handle would share the index that nobody else sees.
    await expect(connected(path)).rejects.toSatisfy(halved)
    // Others make a new one.
    const other = fork(new URL('../test/member.ts', import.meta.url), [path, 'send', '3'])
    expect(await once(other, 'message')).toEqual(['sent', undefined])
    await once(other, 'exit')
    await driver.close()
    const again = await connected(path)
    const orders = await again.open(membership(topicOf('orders'), { order: 'key' }), never)
    expect(texts(await orders.receive(9, never))).toBe('0 1 2')
    const source = await again.open(membership(topicOf('t')), never)
    expect(texts(await source.receive(9, never))).toBe('before behind')
    expect(again.client.database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    await again.close()
  },
)
