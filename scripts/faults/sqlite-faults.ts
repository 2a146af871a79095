// What goes wrong with a SQLite file that several processes share.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Crew } from './service-crew.ts'
import type { Fault } from './service-faults.ts'

/** Places of one topic in the file. */
const span = 2 ** 39
/** Longest that a fault waits for what it is about. */
const patienceMs = 30_000

const full = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOSPC'

/** Takes what room is left on a disk, to the last block. */
function fill(path: string): void {
  const file = openSync(path, 'a')
  try {
    for (let size = 1 << 20; size >= 1; )
      try {
        if (writeSync(file, Buffer.alloc(size, 1)) < size) size >>= 1
      } catch (error) {
        if (!full(error)) throw error
        size >>= 1
      }
  } finally {
    closeSync(file)
  }
}

const acknowledged = (crew: Crew): number => crew.of('send').reduce((sum, { progress }) => sum + progress.done, 0)

/** Another process takes all room; for `ms` from when nothing more can be sent. What SQLite gives back by itself meanwhile is taken, too. */
export const diskFull = (disk: string, ms = 5_000): Fault => ({
  name: `disk full for ${ms / 1_000} s`,
  async run({ crew }) {
    const path = join(disk, 'filler')
    try {
      const end = performance.now() + patienceMs
      let last = acknowledged(crew)
      for (let since = performance.now(); performance.now() - since < ms; await sleep(100)) {
        fill(path)
        const now = acknowledged(crew)
        if (now !== last) since = performance.now()
        last = now
        if (since > end) throw new Error(`sends still go through ${patienceMs / 1_000} s after the disk was filled`)
      }
    } finally {
      rmSync(path, { force: true })
    }
  },
})

/** Groups of a run by name, and what waits in them. */
function groupsOf(database: DatabaseSync, namespace: string): ReadonlyMap<string, number> {
  const rows = database
    .prepare(
      `SELECT g.name, (SELECT count(*) FROM posthorn_delivery d WHERE d.grp = g.id)
         + (SELECT count(*) FROM posthorn_cursor c JOIN posthorn_message m ON m.seq > c.at AND m.seq < (c.topic + 1) * ${span}
            WHERE c.grp = g.id)
         + (SELECT count(*) FROM posthorn_delayed) AS n
       FROM posthorn_group g WHERE g.ns = ?`,
    )
    .all(namespace)
  return new Map(rows.map(({ name, n }) => [String(name), Number(n)]))
}

/**
 * What waits in a group that is removed is lost by who removed it: so it is removed while it is empty, and nobody sends meanwhile. The log goes, too:
 * a group that is made again reads what is kept, and would have handled nothing new for a while.
 */
export const groupsRemoved = (file: () => string): Fault => ({
  name: 'groups and log removed by an operator',
  async run({ namespace, crew }) {
    await crew.rest()
    const database = new DatabaseSync(file(), { timeout: patienceMs })
    try {
      let left = groupsOf(database, namespace)
      for (const end = performance.now() + patienceMs; [...left.values()].some((n) => n > 0); await sleep(100)) {
        if (performance.now() > end)
          throw new Error(`not handled after ${patienceMs / 1_000} s: ${[...left].join(' ')}`)
        left = groupsOf(database, namespace)
      }
      const before = left.size
      const topics = `SELECT id FROM posthorn_topic WHERE ns = '${namespace}'`
      const those = `(SELECT id FROM posthorn_group WHERE ns = '${namespace}')`
      database.exec(`BEGIN IMMEDIATE;
        UPDATE posthorn_topic SET top = max(top, (SELECT ifnull(max(seq), 0) FROM posthorn_message
          WHERE seq < (posthorn_topic.id + 1) * ${span})) WHERE ns = '${namespace}';
        DELETE FROM posthorn_message WHERE seq / ${span} IN (${topics});
        DELETE FROM posthorn_cursor WHERE grp IN ${those}; DELETE FROM posthorn_delivery WHERE grp IN ${those};
        DELETE FROM posthorn_claim WHERE grp IN ${those}; DELETE FROM posthorn_group WHERE ns = '${namespace}'; COMMIT`)
      for (const end = performance.now() + patienceMs; groupsOf(database, namespace).size < before; await sleep(100))
        if (performance.now() > end) throw new Error(`the groups were not back after ${patienceMs / 1_000} s`)
    } finally {
      database.close()
      crew.tell({ say: 'resume' })
    }
  },
})
