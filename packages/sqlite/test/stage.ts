// What the tests of this package stand on.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Clock,
  type Dispatch,
  type Driver,
  newId,
  planOf,
  type Subscription,
  systemClock,
  type TopicSpec,
} from '@posthorn/core/driver'
import { plainMessage } from '@posthorn/testkit'
import { type SqliteClient, type SqliteOptions, sqlite } from '../src/index.ts'

const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A path in a folder of its own that goes with the process. */
export function freshPath(name = 'app.db'): string {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-sqlite-'))
  folders.push(folder)
  return join(folder, name)
}

/** A connection as core would open it. */
export function connected(
  options: string | SqliteOptions,
  connectTimeoutMs = 5_000,
  clock: Clock = systemClock,
): Promise<Driver<SqliteClient>> {
  return planOf(sqlite(options)).connect({
    namespace: '',
    topology: 'declare',
    connectTimeoutMs,
    clock,
    clientId: 'test',
    report: () => {},
    signal: new AbortController().signal,
  }) as Promise<Driver<SqliteClient>>
}

/** A topic with one group. */
export function topicOf(name: string, over: Partial<TopicSpec> = {}): TopicSpec {
  return {
    name,
    partitions: 1,
    groups: [{ name: 'g', order: 'none', filter: undefined }],
    retentionMs: undefined,
    keyed: false,
    priority: undefined,
    on: undefined,
    ...over,
  }
}

/** A member of the group `g`. */
export function membership(source: Subscription['source'], over: Partial<Subscription> = {}): Subscription {
  return {
    source,
    mode: 'shared',
    group: 'g',
    member: newId(Date.now()),
    order: 'none',
    window: 100,
    from: 'earliest',
    filter: undefined,
    report: () => {},
    ...over,
  }
}

/** A message with a text as its body. */
export function message(topic: string, text: string, over: Partial<Dispatch> = {}): Dispatch {
  const own = { id: newId(Date.now()), topic, body: Buffer.from(text), contentType: 'text/plain', sentAt: Date.now() }
  return plainMessage({ ...own, ...over })
}

/** A signal that never fires. */
export const never: AbortSignal = new AbortController().signal

/** Bodies as text. */
export function texts(arrivals: readonly { readonly body: Uint8Array }[]): string {
  return arrivals.map(({ body }) => Buffer.from(body).toString()).join(' ')
}

/** A clock that stands still until it is moved; what falls due on the way is called in its order. */
export function steeredClock(start = 1_700_000_000_000): Clock & { advance(ms: number): void } {
  let now = start
  const timers = new Set<{ readonly at: number; readonly call: () => void }>()
  return {
    now: () => now,
    after(ms, call) {
      const timer = { at: now + Math.max(0, ms), call }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance(ms) {
      const end = now + ms
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (next === undefined) break
        timers.delete(next)
        now = next.at
        next.call()
      }
      now = end
    },
  }
}
