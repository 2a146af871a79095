import { access, rm } from 'node:fs/promises'
import { backup as backUp, DatabaseSync } from 'node:sqlite'
import { MessagingError } from '@posthorn/core/driver'
import { translated } from './errors.ts'
import type { Hub } from './hub.ts'

/** `broker.driver.client`: the file itself. */
export interface SqliteClient {
  readonly path: string
  /** A handle that reads what is committed; writing through it is refused. */
  readonly database: DatabaseSync
  /** Copies the whole file, as of one moment, to a new file, while everything goes on. */
  backup(to: string): Promise<void>
}

/** The client of an open file. */
export function clientOf(hub: Hub): SqliteClient {
  return {
    path: hub.path,
    database: hub.reader.database,
    async backup(to) {
      const there = await access(to).then(
        () => true,
        () => false,
      )
      if (there) throw new MessagingError('invalid', `${to} is there already; name a new file for the back-up`)
      try {
        await copied(hub.path, to)
      } catch (error) {
        await rm(to, { force: true })
        throw translated(error, `${to} (a copy of ${hub.path})`)
      }
    },
  }
}

/** A handle of its own that reads one moment all the while: on any other the copy would begin again with every commit, and never end. */
async function copied(path: string, to: string): Promise<void> {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 1_000 })
  try {
    database.exec('BEGIN; SELECT 1 FROM sqlite_schema')
    await backUp(database, to, { rate: 256 })
  } finally {
    database.close()
  }
}
