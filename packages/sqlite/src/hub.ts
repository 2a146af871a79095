import { DatabaseSync } from 'node:sqlite'
import type { MessagingError } from '@posthorn/core/driver'
import { durableLog } from './durable.ts'
import { closed, isBusy, translated } from './errors.ts'
import { canonical, type OpenFile, openFile } from './file.ts'
import type { SqliteSettings } from './options.ts'
import { type Absence, watchPresence } from './presence.ts'
import type { Sql } from './sql.ts'
import { type Wake, wakeOf } from './wake.ts'
import { type Writer, writerOf } from './writer.ts'

/** One file as this process has it open: all its brokers share one writer, so that they never wait for each other's locks. */
export interface Hub {
  readonly path: string
  readonly writer: Writer
  readonly wake: Wake
  /** Reads what is committed; waits a moment where another process just makes or ends the file. */
  read<R>(work: (sql: Sql) => R): Promise<R>
  /** The reading handle, for who deals with `busy` himself. */
  readonly reader: Sql
  /** The last who lets go closes the file. */
  release(): Promise<void>
}

interface Shared {
  readonly opening: Promise<OpenHub>
  readonly synchronous: SqliteSettings['synchronous']
  users: number
}
interface OpenHub {
  readonly file: OpenFile
  readonly writer: Writer
  readonly wake: Wake
  /** Why it can be used no more. */
  refusal: MessagingError | undefined
  unwatch: () => void
}

/** How long a write waits for another process's lock before it is `unavailable`; a publish deadline is 10 s. */
const busyMs = 8_000

const hubs = new Map<string, Shared>()

function closeFile({ reader, writer }: OpenFile): void {
  for (const { database } of [reader, writer]) database.close()
}

/**
 * Who closes a file last brings its log into it. Where others have made a log of their own by now, that would be written over: beside a handle that only reads,
 * nobody is the last, and that one itself may not.
 */
function beside(path: string, close: () => void): void {
  let keeper: DatabaseSync | undefined
  try {
    keeper = new DatabaseSync(path, { readOnly: true })
    keeper.prepare('SELECT 1 FROM sqlite_schema').get()
  } catch {
    // There is no file any more, or no log but ours.
  }
  close()
  keeper?.close()
}

/** The hub of a file, opened if nobody in this process has it open with these settings. */
export async function hubOf(settings: SqliteSettings, timeoutMs: number): Promise<Hub> {
  const path = canonical(settings.path)
  const name = `${settings.synchronous} ${settings.probeMs} ${path}`
  let shared = hubs.get(name)
  if (shared === undefined) {
    const forget = (): void => {
      if (hubs.get(name) === shared) hubs.delete(name)
    }
    shared = { opening: opened(path, settings, timeoutMs, forget), synchronous: settings.synchronous, users: 0 }
    hubs.set(name, shared)
  }
  shared.users++
  const mine = shared
  let released: Promise<void> | undefined
  const release = async (): Promise<void> => {
    if (--mine.users > 0) return
    if (hubs.get(name) === mine) hubs.delete(name)
    const { file, writer, wake, unwatch, refusal } = await mine.opening
    unwatch()
    wake.stop()
    await writer.close()
    if (refusal === undefined) closeFile(file)
    else beside(path, () => closeFile(file))
  }
  try {
    const hub = await shared.opening
    if (hub.refusal !== undefined) throw hub.refusal
    const { file, writer, wake } = hub
    return {
      path,
      writer,
      wake,
      reader: file.reader,
      read(work) {
        const refusal = released === undefined ? hub.refusal : closed(`the SQLite file ${path}`)
        return refusal === undefined ? reading(file, work) : Promise.reject(refusal)
      },
      release: () => (released ??= release()),
    }
  } catch (error) {
    if (--mine.users === 0 && hubs.get(name) === mine) hubs.delete(name)
    throw error
  }
}

async function opened(path: string, settings: SqliteSettings, timeoutMs: number, forget: () => void): Promise<OpenHub> {
  const file = await openFile(path, timeoutMs)
  const hub: OpenHub = {
    file,
    writer: writerOf(file.writer, {
      path,
      synchronous: settings.synchronous,
      busyMs,
      durable: settings.synchronous === 'full' ? durableLog(path) : undefined,
    }),
    wake: wakeOf(file.writer, path, settings.probeMs),
    refusal: undefined,
    unwatch: () => {},
  }
  const absence: Absence = {
    rescue() {
      try {
        file.reader.database.exec('PRAGMA wal_checkpoint(PASSIVE)')
      } catch {
        // Somebody reads by it, or the disk is full: then it stays where it is, as without this.
      }
    },
    gone(error, moved) {
      hub.refusal = error
      hub.writer.refuse(error)
      if (moved) forget()
      hub.wake.all()
    },
  }
  try {
    hub.unwatch = await watchPresence(path, absence)
  } catch (error) {
    beside(path, () => closeFile(file))
    throw translated(error, path)
  }
  return hub
}

/**
 * By the writing handle unless a transaction is open on it: the other's pages are stale after each commit, and it would read them from the file
 * again.
 */
async function reading<R>({ reader, writer, path }: OpenFile, work: (sql: Sql) => R): Promise<R> {
  for (let tries = 0; ; tries++) {
    try {
      return work(writer.database.isTransaction ? reader : writer)
    } catch (error) {
      if (!isBusy(error) || tries > 100) throw translated(error, path)
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
