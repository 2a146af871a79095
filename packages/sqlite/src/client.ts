import { access } from 'node:fs/promises'
import { backup as backUp, type DatabaseSync } from 'node:sqlite'
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
        await backUp(hub.reader.database, to, { rate: 256 })
      } catch (error) {
        throw translated(error, hub.path)
      }
    },
  }
}
