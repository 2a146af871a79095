// node:sqlite by hand in the same thread: the same columns, a group that counts starts, the same durability.
import { DatabaseSync } from 'node:sqlite'
import { newId } from '@posthorn/core/driver'
import type { Block } from '../harness/case.ts'
import { measured, type Order, orderOf } from './measuring.ts'
import { batch, inFolder } from './sqlite-ground.ts'

/**
 * A log and one group's unsettled messages, by hand, in a file that can give room back, as one with retention must. It does not do what a call of
 * a messaging library does beside: other processes that write are not looked for, nothing has a deadline or can be aborted.
 */
function byHand(path: string) {
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
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

/** Sends in transactions of `of`. Both sides warm up by the same number, whatever the scale: half warm is not half of what is measured. */
export const sendByHand =
  (total: number, of: number, warm = total / 10): Block =>
  (scale) =>
    inFolder(async (path) => {
      const count = Math.ceil(total * scale)
      const raw = byHand(path)
      // Between two commits the event loop has its turn, as it must in a service.
      const sendAll = async (all: readonly Order[][]): Promise<void> => {
        for (const each of all) {
          raw.send(each)
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await sendAll(batches(warm, of))
      const rest = batches(count, of)
      const sample = await measured(count, () => sendAll(rest))
      raw.close()
      return sample
    })

/** Claims in batches, calls an async handler for each and deletes. */
export const consumeByHand =
  (total: number): Block =>
  (scale) =>
    inFolder(async (path) => {
      const count = Math.ceil(total * scale)
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
