// A database in a thread of its own: gets lists of values, commits each list, answers.
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const db = new DatabaseSync(workerData as string)
db.exec(
  'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY, id TEXT, body BLOB)',
)
const insert = db.prepare('INSERT INTO message VALUES (NULL, ?, ?)')
parentPort?.on('message', (rows: readonly (readonly [string, Uint8Array])[]) => {
  db.exec('BEGIN IMMEDIATE')
  for (const [id, body] of rows) insert.run(id, body)
  db.exec('COMMIT')
  parentPort?.postMessage(rows.length)
})
parentPort?.postMessage('ready')
