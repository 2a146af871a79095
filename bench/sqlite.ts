// SQLite (G22 to G25) beside node:sqlite by hand in the same thread: the same columns, a group that counts starts, the same durability.
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@posthorn/core/driver'
import { sqlite } from '@posthorn/sqlite'
import type { BenchFile, Block } from './harness/case.ts'
import { measured, type Order, orderOf } from './parts/measuring.ts'
import { counting, ordersOf, quiet, sendBy } from './parts/through.ts'

const many = 100_000
const single = 4_000
/** Of sends one by one before the clock starts: code that was just loaded runs at half its speed. */
const singleWarm = 2_000
const batch = 500

/** A file of its own in a folder that goes with the block. */
async function inFolder<R>(work: (path: string) => Promise<R>): Promise<R> {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-bench-'))
  try {
    return await work(join(folder, 'bench.db'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A log and one group's unsettled messages, by hand. */
function byHand(path: string) {
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE message (seq INTEGER PRIMARY KEY, at INTEGER, id TEXT, key TEXT, tag TEXT, body BLOB, type TEXT, sent INTEGER, head TEXT);
    CREATE TABLE delivery (grp INTEGER, seq INTEGER, claim INTEGER, until INTEGER, starts INTEGER, PRIMARY KEY (grp, seq)) WITHOUT ROWID;
    CREATE TABLE cursor (grp INTEGER PRIMARY KEY, at INTEGER); INSERT INTO cursor VALUES (1, 0)`)
  const insert = db.prepare('INSERT INTO message VALUES (NULL, ?, ?, ?, NULL, ?, NULL, ?, NULL)')
  const read = db.prepare('SELECT * FROM message WHERE seq > ? ORDER BY seq LIMIT ?')
  const take = db.prepare('INSERT INTO delivery VALUES (1, ?, ?, ?, 1)')
  const move = db.prepare('UPDATE cursor SET at = ? WHERE grp = 1')
  const settle = db.prepare('DELETE FROM delivery WHERE grp = 1 AND seq = ? AND claim = ?')
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  let claims = 0
  let at = 0
  return {
    close: () => db.close(),
    send(orders: readonly Order[]): void {
      begin.run()
      for (const order of orders) {
        const now = Date.now()
        insert.run(now, newId(now), null, Buffer.from(JSON.stringify(order)), now)
      }
      commit.run()
    },
    claim(max: number): { readonly seq: number; readonly order: Order }[] {
      begin.run()
      claims++
      const until = Date.now() + 30_000
      const rows = read.all(at, max).map((row) => {
        take.run(row['seq'] as number, claims, until)
        return {
          seq: row['seq'] as number,
          order: JSON.parse(Buffer.from(row['body'] as Uint8Array).toString()) as Order,
        }
      })
      at = rows.at(-1)?.seq ?? at
      move.run(at)
      commit.run()
      return rows
    },
    ack(seqs: readonly number[]): void {
      begin.run()
      for (const seq of seqs) settle.run(seq, claims)
      commit.run()
    },
  }
}

function batches(count: number, of: number): Order[][] {
  return Array.from({ length: Math.ceil(count / of) }, (_, n) =>
    Array.from({ length: of }, (_, i) => orderOf(n * of + i)),
  )
}

const sendByHand =
  (total: number, of: number, warm = total / 10): Block =>
  (scale) =>
    inFolder(async (path) => {
      const count = Math.ceil(total * scale)
      const raw = byHand(path)
      for (const each of batches(Math.ceil(warm * scale), of)) raw.send(each)
      const rest = batches(count, of)
      const sample = await measured(count, async () => {
        // Between two commits the event loop has its turn, as it must in a service.
        for (const each of rest) {
          raw.send(each)
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
      raw.close()
      return sample
    })

const send =
  (total: number, callers: number, warm = total / 10): Block =>
  (scale) =>
    inFolder(async (path) => {
      const count = Math.ceil(total * scale)
      const broker = await quiet(sqlite(path))
      const orders = ordersOf(0)
      await sendBy(broker, orders, Math.ceil(warm * scale), callers)
      const sample = await measured(count, () => sendBy(broker, orders, count, callers))
      await broker.close()
      return sample
    })

const consume: Block = (scale) =>
  inFolder(async (path) => {
    const count = Math.ceil(many * scale)
    const broker = await quiet(sqlite(path))
    const orders = ordersOf(0)
    const warm = Math.ceil(count / 10)
    await sendBy(broker, orders, count + warm, 1_000)
    const all = await counting(broker, orders, batch)
    await all.reached(warm)
    const sample = await measured(count, () => all.reached(count + warm))
    await broker.close()
    return sample
  })

const consumeByHand: Block = (scale) =>
  inFolder(async (path) => {
    const count = Math.ceil(many * scale)
    const raw = byHand(path)
    for (const each of batches(count * 1.1, batch)) raw.send(each)
    const handler = async (_: Order): Promise<void> => {}
    const eat = async (total: number): Promise<void> => {
      for (let done = 0; done < total; ) {
        const rows = raw.claim(batch)
        await Promise.all(rows.map(({ order }) => handler(order)))
        raw.ack(rows.map(({ seq }) => seq))
        done += rows.length
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await eat(count / 10)
    const sample = await measured(count, () => eat(count))
    raw.close()
    return sample
  })

/** From the call of `send` to the start of the handler, one message at a time; the middle of them. */
const latency: Block = (scale) =>
  inFolder(async (path) => {
    const broker = await quiet(sqlite(path))
    const orders = ordersOf(0)
    let arrived = (): void => {}
    await broker.consume(orders, { group: 'bench' }, async () => arrived())
    const producer = broker.producer()
    const times: number[] = []
    const count = Math.ceil(500 * scale)
    const sample = await measured(count, async () => {
      for (let n = 0; n < count; n++) {
        const here = new Promise<void>((resolve) => {
          arrived = resolve
        })
        const from = performance.now()
        await Promise.all([producer.send(orders, orderOf(n)), here])
        times.push(performance.now() - from)
        await sleep(1)
      }
    })
    await broker.close()
    return { ...sample, more: percentiles(times) }
  })

/** The same with the handler in another process; times by the wall clock that both have. */
const latencyAcross: Block = (scale) =>
  inFolder(async (path) => {
    const other = await reader(path)
    const broker = await quiet(sqlite(path))
    const producer = broker.producer()
    const orders = ordersOf(0)
    const times: number[] = []
    other.on('message', (message) => {
      if (typeof message === 'number') times.push(message)
    })
    const count = Math.ceil(300 * scale)
    const sample = await measured(count, async () => {
      for (let n = 0; n < count; n++) {
        await producer.send(orders, { ...orderOf(n), id: performance.timeOrigin + performance.now() })
        await sleep(15 + (n % 7))
      }
      while (times.length < count) await sleep(5)
    })
    await broker.close()
    const gone = new Promise((resolve) => other.once('exit', resolve))
    other.kill()
    await gone
    return { ...sample, more: percentiles(times) }
  })

/** What a process with a waiting consumer burns, in percent of one core. */
const idle: Block = (scale) =>
  inFolder(async (path) => {
    const broker = await quiet(sqlite(path))
    const orders = ordersOf(0)
    await broker.consume(orders, { group: 'bench' }, async () => {})
    await sleep(1_000)
    const ms = Math.ceil(5_000 * scale)
    const sample = await measured(1, () => sleep(ms))
    await broker.close()
    return { ...sample, more: { '% of a core': (sample.cpuMs / sample.wallMs) * 100 } }
  })

/** How late timers of 2 ms are at worst until the answer is called. */
function latest(): () => number {
  let late = 0
  let over = false
  const watch = async (): Promise<void> => {
    for (let from = performance.now(); !over; from = performance.now()) {
      await sleep(2)
      late = Math.max(late, performance.now() - from - 2)
    }
  }
  void watch()
  return () => {
    over = true
    return late
  }
}

/** A transaction that awaits for a second while others send. A send that fails ends the block. */
const held: Block = (scale) =>
  inFolder(async (path) => {
    const broker = await quiet(sqlite(path))
    const orders = ordersOf(0)
    const producer = broker.producer()
    for (let n = 0; n < 200; n++) await producer.send(orders, orderOf(n))
    const sends: Promise<unknown>[] = []
    let over = false
    // Begun outside of the transaction: what is sent inside it goes by its tx.
    const beside = async (): Promise<void> => {
      for (; !over; await sleep(10)) sends.push(producer.send(orders, orderOf(sends.length)))
    }
    const sending = beside()
    let late = 0
    const sample = await measured(1, () =>
      broker.store.transaction(async (tx) => {
        await tx.query('CREATE TABLE app (n INTEGER)')
        const ended = latest()
        await sleep(Math.ceil(1_000 * scale))
        // The commit is a write like any other.
        late = ended()
      }),
    )
    over = true
    await sending
    await Promise.all(sends)
    await broker.close()
    return { ...sample, more: { 'ms latest': late } }
  })

/** What the machine does to timers by itself. */
const timersAlone: Block = async (scale) => {
  let late = 0
  const second = async (): Promise<void> => {
    const ended = latest()
    await sleep(Math.ceil(1_000 * scale))
    late = ended()
  }
  await second()
  const sample = await measured(1, second)
  return { ...sample, more: { 'ms latest': late } }
}

function percentiles(times: number[]): Record<string, number> {
  const sorted = times.sort((a, b) => a - b)
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] as number
  return { 'ms p50': at(0.5), 'ms p99': at(0.99) }
}

async function reader(path: string): Promise<ChildProcess> {
  const child = fork(new URL('./parts/sqlite-reader.ts', import.meta.url), [path])
  await new Promise((resolve) => child.once('message', resolve))
  return child
}

/** Rows G22 to G25. */
export const cases: BenchFile['cases'] = [
  {
    what: 'send, 1,000 callers, synchronous FULL',
    posthorn: send(many, 1_000),
    reference: { name: 'node:sqlite, batches of 500', block: sendByHand(many, batch) },
    goals: [{ id: 'G22', unit: 'msg/s', atLeast: 0.7 }],
  },
  {
    what: 'send, one awaited after the other',
    posthorn: send(single, 1, singleWarm),
    reference: { name: 'node:sqlite, a commit each', block: sendByHand(single, 1, singleWarm) },
    goals: [{ id: 'G23', unit: 'msg/s', atLeast: 0.9 }],
  },
  {
    what: 'receive and acknowledge, async handler',
    posthorn: consume,
    reference: { name: 'node:sqlite, claim and delete in batches of 500', block: consumeByHand },
    goals: [{ id: 'G24', unit: 'msg/s', atLeast: 0.7 }],
  },
  {
    what: 'from send to handler, one process',
    posthorn: latency,
    reference: { name: 'budget of 2 ms', plus: 2 },
    goals: [{ id: 'G25a', unit: 'ms p50', atMost: 1 }],
  },
  {
    what: 'from send to handler, two processes',
    posthorn: latencyAcross,
    reference: { name: 'budget of 15 ms', plus: 15 },
    goals: [
      { id: 'G25b', unit: 'ms p50', atMost: 1 },
      { id: 'G25c', unit: 'ms p99', atMost: 2 },
    ],
  },
  {
    what: 'timers while a transaction is held for 1 s and others send',
    posthorn: held,
    reference: { name: 'timers alone, and 5 ms', block: timersAlone, plus: 5 },
    goals: [{ id: 'G25e', unit: 'ms latest', atMost: 1 }],
  },
  {
    what: 'a consumer that waits',
    posthorn: idle,
    reference: { name: 'budget of 1 %', plus: 1 },
    goals: [{ id: 'G25d', unit: '% of a core', atMost: 1 }],
  },
]
