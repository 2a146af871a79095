import { StatementSync } from 'node:sqlite'
import { afterEach, expect, test, vi } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { hubOf } from './hub.ts'
import { settingsOf } from './options.ts'
import { span } from './topic-rows.ts'
import type { Listener } from './wake.ts'

afterEach(() => vi.restoreAllMocks())

/** Thirty consumers that wait, and another connection to their file, as another process has one. */
async function waiting() {
  const path = freshPath()
  const mine = await connected(path)
  const topics = Array.from({ length: 30 }, (_, n) => topicOf(`t${n}`))
  for (const topic of topics) await mine.declare(topic, never)
  const sources = await Promise.all(topics.map((topic) => mine.open(membership(topic), never)))
  const received = sources.map((source) => source.receive(1, never))
  // Whatever the disk takes: a commit that waits for it would be probed for meanwhile.
  const other = await connected({ path, probeMs: 7, synchronous: 'normal' })
  return { mine, other, received }
}

test('a commit of another process makes only those look for whom it left something', async () => {
  const { mine, other, received } = await waiting()
  // A first look of all may be under way.
  await other.send([message('t0', 'first')], { signal: never })
  expect(texts((await received[0]) ?? [])).toBe('first')
  const gets = vi.spyOn(StatementSync.prototype, 'get')
  const alls = vi.spyOn(StatementSync.prototype, 'all')
  for (let n = 1; n <= 5; n++) {
    await other.send([message(`t${n}`, `${n}`)], { signal: never })
    expect(texts((await received[n]) ?? [])).toBe(`${n}`)
  }
  // Each look is two statements, and thirty would look five times.
  expect(gets.mock.calls.length + alls.mock.calls.length).toBeLessThan(200)
  await Promise.all([mine.close(), other.close(), Promise.allSettled(received)])
})

type Sleep = { until: Listener['until'] }

test('who sleeps is called for what is ready, what comes earlier than it would wake, and the end of its group', async () => {
  const path = freshPath()
  const hub = await hubOf(settingsOf(path), 1_000)
  const other = await hubOf(settingsOf({ path, probeMs: 7 }), 1_000)
  const told: number[] = []
  const listeners = [1, 2, 3].map((id) => {
    const of: Sleep = { until: undefined }
    hub.wake.listen({
      group: { id },
      touches: () => false,
      call: () => void told.push(id),
      get until() {
        return of.until
      },
    })
    return of
  })
  const [first, second, third] = listeners as [Sleep, Sleep, Sleep]
  const calledBy = async (text: string, ...values: number[]): Promise<number[]> => {
    await other.writer.write(({ sql }) => sql.run(text, ...values))
    hub.wake.probe()
    return told.splice(0)
  }
  const group = "INSERT INTO posthorn_group (id, ns, kind, source, name, ord) VALUES (?, '', 't', 't', ?, 'none')"
  for (const id of [1, 2, 3]) await calledBy(group, id, id)
  expect(await calledBy('INSERT INTO posthorn_cursor VALUES (2, 1, ?)', span)).toEqual([])
  expect(await calledBy('INSERT INTO posthorn_message (seq, at) VALUES (?, 0)', span + 1)).toEqual([2])
  expect(await calledBy('DELETE FROM posthorn_message')).toEqual([])
  expect(await calledBy('INSERT INTO posthorn_delivery (grp, ord, state, sort) VALUES (1, 1, 0, 0)')).toEqual([1])
  expect(await calledBy('DELETE FROM posthorn_delivery')).toEqual([])
  first.until = 400
  expect(await calledBy('INSERT INTO posthorn_claim VALUES (1, 1, 500, 0, 0, 1)')).toEqual([])
  expect(await calledBy('INSERT INTO posthorn_claim VALUES (1, 2, 300, 0, 0, 1)')).toEqual([1])
  first.until = 300
  second.until = 350
  expect(await calledBy('INSERT INTO posthorn_delayed (topic, due) VALUES (9, 340)')).toEqual([2, 3])
  second.until = 340
  third.until = 'awake'
  expect(await calledBy('DELETE FROM posthorn_group WHERE id = 2')).toEqual([2, 3])
  await hub.release()
  await other.release()
})
