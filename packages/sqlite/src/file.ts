import { existsSync, realpathSync } from 'node:fs'
import { access, constants, mkdir, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { MessagingError } from '@posthorn/core/driver'
import { isBusy, translated } from './errors.ts'
import { migrate, schemaVersion, versionOf } from './schema.ts'
import { type Sql, sqlOf } from './sql.ts'

/** The two handles of one file: all writing goes through the first, one transaction at a time; the second sees only what is committed. */
export interface OpenFile {
  readonly path: string
  readonly writer: Sql
  readonly reader: Sql
}

/** Linux's number of a file system, as `statfs` gives it. */
type FileSystem = (folder: string) => Promise<number>

const fileSystem: FileSystem = async (folder) => (await statfs(folder)).type

/** File systems over a network or a cluster, by their numbers on Linux: their locks and shared memory are not those that WAL needs. */
const network: Readonly<Record<number, string>> = {
  26985: 'NFS',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  20859: 'SMB',
  16914839: '9P',
  22092: 'NCP',
  1937076805: 'Coda',
  1397113167: 'AFS',
  1799439955: 'AFS',
  12805120: 'Ceph',
  1952539503: 'OCFS2',
  18225520: 'GFS2',
  198183888: 'Lustre',
  1196443219: 'GPFS',
}

/** The file as one name, whatever path leads to it. */
export function canonical(path: string): string {
  const full = resolve(path)
  if (existsSync(full)) return realpathSync(full)
  const folder = dirname(full)
  return folder === full ? full : join(canonical(folder), basename(full))
}

/** Opens, checks and migrates; waits for others who do the same for at most `timeoutMs`. */
export async function openFile(path: string, timeoutMs: number, typeOf: FileSystem = fileSystem): Promise<OpenFile> {
  await checkPlace(path, typeOf)
  const end = performance.now() + timeoutMs
  const opened: DatabaseSync[] = []
  const open = (): Sql => {
    const database = new DatabaseSync(path, { timeout: 0 })
    opened.push(database)
    return sqlOf(database)
  }
  for (let waitMs = 2; ; waitMs = Math.min(waitMs * 2, 50)) {
    try {
      const writer = open()
      prepareFile(writer, path)
      const reader = open()
      reader.database.exec('PRAGMA query_only = 1')
      versionOf(reader, path)
      return { path, writer, reader }
    } catch (error) {
      for (const database of opened.splice(0)) database.close()
      if (!isBusy(error) || performance.now() > end) throw translated(error, path)
    }
    await sleep(waitMs * (0.5 + Math.random()))
  }
}

async function checkPlace(path: string, typeOf: FileSystem): Promise<void> {
  const folder = dirname(resolve(path))
  if (!(await isFolder(folder))) await makeFolder(folder, path, typeOf)
  const there = await stat(path).catch(() => undefined)
  if (there?.isDirectory() === true)
    throw new MessagingError('invalid', `${path} is a folder; name a file in it, such as ${join(path, 'app.db')}`)
  // SQLite takes a few bytes for an empty file, and would write over them.
  if (there !== undefined && there.size > 0 && there.size < 512)
    throw new MessagingError('invalid', `the SQLite file ${path} is not a SQLite database; name another file`)
  // WAL makes files beside the database, so the folder must be writable, too.
  for (const each of there === undefined ? [folder] : [folder, path]) await checkWritable(each, path)
  await checkLocal(folder, path, typeOf)
}

/** Makes the file's own folder. More of the path than that is not made: where its parent is missing, too, the path is likely misspelt. */
async function makeFolder(folder: string, path: string, typeOf: FileSystem): Promise<void> {
  const parent = dirname(folder)
  if (!(await isFolder(parent)))
    throw new MessagingError(
      'not-found',
      `the folder ${folder} of the SQLite file ${path} is not there, and neither is ${parent}; correct the path, or make ${parent} first`,
    )
  await checkWritable(parent, path)
  await checkLocal(parent, path, typeOf)
  await mkdir(folder).catch((error: unknown) => {
    // Another process may start at the same moment.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw translated(error, path)
  })
  if (!(await isFolder(folder)))
    throw new MessagingError(
      'invalid',
      `${folder} is no folder, and the SQLite file ${path} is to lie in it; correct the path`,
    )
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true

async function checkWritable(place: string, path: string): Promise<void> {
  const writable = await access(place, constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!writable)
    throw new MessagingError(
      'unavailable',
      `${place} cannot be written, which the SQLite file ${path} needs; give this user write access`,
    )
}

async function checkLocal(folder: string, path: string, typeOf: FileSystem): Promise<void> {
  const kind = network[await typeOf(folder)]
  if (kind !== undefined)
    throw new MessagingError(
      'unsupported',
      `${path} lies on a network file system (${kind}), where SQLite loses data; use a local disk, or a broker on the network`,
    )
}

function prepareFile(sql: Sql, path: string): void {
  const { database } = sql
  // Before anything is written.
  const version = versionOf(sql, path)
  const tables = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()
  // Only an empty file can be told to give room back later.
  if (Number(tables?.['n']) === 0) database.exec('PRAGMA auto_vacuum = INCREMENTAL')
  const mode = database.prepare('PRAGMA journal_mode').get()
  if (mode?.['journal_mode'] !== 'wal') {
    const now = database.prepare('PRAGMA journal_mode = WAL').get()
    if (now?.['journal_mode'] !== 'wal')
      throw new MessagingError(
        'unsupported',
        `${path} cannot be switched to WAL, which several readers and writers need; it may lie on a file system without shared memory`,
      )
  }
  // What a long reader (a back-up) made the log grow by is given back.
  database.exec('PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864')
  if (version === schemaVersion) return
  database.exec('BEGIN IMMEDIATE')
  try {
    migrate(sql, path)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
