import { close, createReadStream, fdatasync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { callable, checkOptions, flag, type Shape } from '@posthorn/core/driver'
import type { Entry } from './entries.ts'
import { type Ledger, ledgerTo, monotonicNow, type Sink } from './ledger.ts'

/** How a file ledger is written. */
export interface FileLedgerOptions {
  /** Whether an intent waits for the disk; without, it survives the process but not the machine. Default true. */
  readonly durable?: boolean | undefined
  readonly now?: (() => number) | undefined
}

const shape = { durable: flag, now: callable } satisfies Shape

let opened = 0

/** A ledger in a file of its own in `folder`; `name` says who writes. Other processes use the same folder. */
export function fileLedger(folder: string, name: string, options: FileLedgerOptions = {}): Ledger {
  checkOptions('fileLedger()', options, shape)
  mkdirSync(folder, { recursive: true })
  // Never an old file: behind a torn line nothing could be read.
  const fd = openSync(join(folder, `${name}-${process.pid}-${++opened}-${Date.now().toString(36)}.jsonl`), 'ax')
  return ledgerTo(fileSink(fd, options.durable ?? true), options.now ?? monotonicNow)
}

/** Each line is the kernel's at once, so that it outlives a SIGKILL; all that wait for the disk share one call. */
function fileSink(fd: number, durable: boolean): Sink {
  const toDisk = promisify(fdatasync)
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const begin = (): Promise<void> => {
    const run = toDisk(fd).finally(() => {
      if (running === run) running = undefined
    })
    running = run
    return run
  }
  return {
    write(entry) {
      const line = Buffer.from(`${JSON.stringify(entry)}\n`)
      for (let from = 0; from < line.length; ) from += writeSync(fd, line, from)
    },
    sync() {
      if (!durable) return Promise.resolve()
      if (running === undefined) return begin()
      // The one under way may have begun before our line.
      next ??= running
        .catch(() => {})
        .then(() => {
          next = undefined
          return begin()
        })
      return next
    },
    close: () => promisify(close)(fd),
  }
}

/** One line and the file it stands in. */
export interface Line {
  readonly writer: string
  readonly entry: Entry
  /** The last line of its file was cut off, as a kill does; it is left out. */
  readonly torn?: undefined
}

/** The last line of a file, cut off in the middle. */
export interface TornLine {
  readonly writer: string
  readonly torn: true
}

/** All lines of a folder, file by file. Only the last of a file may be torn; another that cannot be read is an error. */
export async function* readLedger(folder: string): AsyncGenerator<Line | TornLine> {
  for (const writer of readdirSync(folder).sort()) {
    if (!writer.endsWith('.jsonl')) continue
    const path = join(folder, writer)
    let rest = ''
    let number = 0
    for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 1_048_576 })) {
      const lines = (rest + (chunk as string)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        number++
        const entry = parsed(line)
        if (entry === undefined)
          throw new Error(`line ${number} of the ledger ${path} cannot be read; only the last may be torn`)
        yield { writer, entry }
      }
    }
    if (rest === '') continue
    const entry = parsed(rest)
    yield entry === undefined ? { writer, torn: true } : { writer, entry }
  }
}

function parsed(line: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && 'e' in value && 't' in value ? (value as Entry) : undefined
  } catch {
    return undefined
  }
}
