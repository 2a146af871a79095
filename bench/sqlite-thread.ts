// Whether the database should live in a worker thread: the same commits on the event loop and beside it (docs/decisions/0005).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import type { BenchFile, Block } from './harness/case.ts'
import { measured } from './parts/measuring.ts'

type Rows = readonly (readonly [string, Uint8Array])[]
interface Side {
  commit(rows: Rows): Promise<void> | void
  end(): Promise<unknown> | void
}

function here(path: string): Side {
  const db = new DatabaseSync(path)
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE message (seq INTEGER PRIMARY KEY, id TEXT, body BLOB)',
  )
  const insert = db.prepare('INSERT INTO message VALUES (NULL, ?, ?)')
  return {
    commit(rows) {
      db.exec('BEGIN IMMEDIATE')
      for (const [id, body] of rows) insert.run(id, body)
      db.exec('COMMIT')
    },
    end: () => db.close(),
  }
}

async function beside(path: string): Promise<Side> {
  const worker = new Worker(new URL('./parts/sqlite-worker.ts', import.meta.url), { workerData: path })
  const answer = (): Promise<void> => new Promise((resolve) => worker.once('message', () => resolve()))
  await answer()
  return {
    commit(rows) {
      const done = answer()
      worker.postMessage(rows)
      return done
    },
    end: () => worker.terminate(),
  }
}

const run =
  (open: (path: string) => Side | Promise<Side>, total: number, of: number): Block =>
  async (scale) => {
    const folder = mkdtempSync(join(tmpdir(), 'posthorn-bench-'))
    const side = await open(join(folder, 'bench.db'))
    const commits = Math.ceil((total * scale) / of)
    const rows = (): Rows => Array.from({ length: of }, (_, n) => [`id-${n}`, Buffer.alloc(256, 'x')] as const)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    const all = async (): Promise<void> => {
      for (let n = 0; n < commits; n++) {
        await side.commit(rows())
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await all()
    delay.enable()
    const sample = await measured(commits * of, all)
    delay.disable()
    await side.end()
    rmSync(folder, { recursive: true })
    return {
      ...sample,
      more: { 'ms loop delay p99': delay.percentile(99) / 1e6, 'ms loop delay max': delay.max / 1e6 },
    }
  }

const pair = (what: string, id: string, total: number, of: number): BenchFile['cases'][number] => ({
  what,
  posthorn: run(here, total, of),
  reference: { name: 'in a worker thread', block: run(beside, total, of) },
  goals: [
    { id: `${id}a`, unit: 'msg/s', atLeast: 1 },
    { id: `${id}b`, unit: 'ms loop delay p99', atMost: 2 },
    { id: `${id}c`, unit: 'µs CPU/message', atMost: 1 },
  ],
})

/** One by one, and in batches as a busy service makes them. */
export const cases: BenchFile['cases'] = [
  pair('a commit each, on the event loop', 'thread-1', 4_000, 1),
  pair('commits of 100, on the event loop', 'thread-100', 100_000, 100),
]
